import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { writeBasicCredentials } from '@jogakbo/service/basic-credentials';
import type { ServiceUnderTest } from '@jogakbo/testing';
import { load } from 'cloud-config-client';
import { parse } from 'yaml';
import { passwords, set, startServer } from './server.ts';

const secret = 'the-secret-of-loans';

describe('Spring Cloud Config’s HTTP API', () => {
  let server: ServiceUnderTest;
  beforeAll(async () => {
    server = await startServer();
    await set(server, 'application', { 'pool.size': '5', 'pool.name': 'all', only: 'shared' });
    await set(server, 'loans', { 'pool.size': '6' });
    await set(server, 'loans', { token: secret }, { secret: true });
    await set(server, 'application', { 'pool.size': '7' }, { profile: 'test' });
    await set(server, 'loans', { 'pool.size': '8' }, { profile: 'test' });
    await set(server, 'loans', { 'pool.size': '9' }, { profile: 'eu' });
    await set(server, 'loans', { 'pool.size': '1' }, { label: 'feature/next' });
    await set(server, 'toys', { token: 'the-secret-of-toys' }, { secret: true });
  });
  afterAll(() => server.stop());

  const get = (
    path: string,
    authorization: string | undefined = writeBasicCredentials('loans', passwords.loans),
  ) => fetch(server.url + path, { headers: { ...(authorization && { authorization }) } });

  it('serves a standard client', async () => {
    const options = { endpoint: server.url, auth: { user: 'loans', pass: passwords.loans } };
    const plain = await load({ ...options, name: 'loans' });
    expect(plain.properties).toMatchObject({
      'pool.size': '6',
      'pool.name': 'all',
      only: 'shared',
      token: secret,
    });
    const test = await load({ ...options, name: 'loans', profiles: ['eu', 'test'] });
    expect(test.get('pool.size')).toBe('8');
    expect(test.raw).toMatchObject({ name: 'loans', profiles: ['eu', 'test'], label: 'main' });
    const next = await load({ ...options, name: 'loans', profiles: 'default', label: 'feature(_)next' });
    expect(next.properties).toEqual({ 'pool.size': '1' });
    const unauthorized = load({ ...options, name: 'loans', auth: { user: 'loans', pass: passwords.toys } });
    await expect(unauthorized).rejects.toThrow();
  });

  it('lists sources in order of precedence', async () => {
    const { propertySources, version } = (await (await get('/loans/eu,test')).json()) as {
      version: string;
      propertySources: { name: string; source: Record<string, string> }[];
    };
    expect(propertySources.map(({ name }) => name)).toEqual([
      ...['loans-test@main', 'application-test@main', 'loans-eu@main'],
      ...['loans-default@main', 'application-default@main'],
    ]);
    expect(propertySources[0]!.source).toEqual({ 'pool.size': '8' });
    expect(version).toBe('1.1.1.2.1');
  });

  it('writes YAML, properties and JSON', async () => {
    const tree = { pool: { size: '8', name: 'all' }, only: 'shared', token: secret };
    for (const path of ['/loans-test.yml', '/loans-test.yaml', '/main/loans-test.yml'])
      expect(parse(await (await get(path)).text())).toEqual(tree);
    expect(await (await get('/loans-test.json')).json()).toEqual(tree);
    expect(await (await get('/loans-test.properties')).text()).toBe(
      `only=shared\npool.name=all\npool.size=8\ntoken=${secret}\n`,
    );
    expect(await (await get('/feature(_)next/loans-default.properties')).text()).toBe('pool.size=1\n');
    expect(await (await get('/application-default.properties')).text()).not.toContain(secret);
  });

  it('returns a service its own and the shared settings, and requires its password', async () => {
    const toys = writeBasicCredentials('toys', passwords.toys);
    const paths = ['/loans/default', '/loans/default/main', '/loans-default.yml', '/main/loans-default.json'];
    for (const path of paths) {
      const forbidden = await get(path, toys);
      expect([path, forbidden.status]).toEqual([path, 403]);
      expect(await forbidden.text()).not.toContain(secret);
      for (const invalid of [
        '',
        writeBasicCredentials('loans', 'wrong'),
        writeBasicCredentials('unknown', passwords.loans),
        writeBasicCredentials('', ''),
        'Basic ?',
        writeBasicCredentials('loans', passwords.loans).replace('Basic b', 'Basic *b'),
        writeBasicCredentials('loans', passwords.loans).replaceAll('=', ''),
      ]) {
        const rejected = await get(path, invalid);
        expect([path, invalid, rejected.status]).toEqual([path, invalid, 401]);
        expect(rejected.headers.get('www-authenticate')).toContain('Basic');
        expect(await rejected.text()).not.toContain(secret);
      }
    }
    expect((await get('/application/default', toys)).status).toBe(200);
    expect(await (await get('/toys/default', toys)).text()).toContain('the-secret-of-toys');
    expect((await get('/health/ready', '')).status).toBe(200);
    expect((await get('/loans-default.exe')).status).toBe(404);
  });
});
