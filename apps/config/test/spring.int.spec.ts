import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { writeBasicCredentials } from '@jogakbo/service/basic-credentials';
import type { ServiceUnderTest } from '@jogakbo/testing';
import { load } from 'cloud-config-client';
import { parse } from 'yaml';
import { passwords, set, startServer } from './server.ts';

const secret = 'the-secret-of-orders';

describe('Spring Cloud Config’s HTTP API', () => {
  let server: ServiceUnderTest;
  beforeAll(async () => {
    server = await startServer();
    await set(server, 'application', { 'pool.size': '5', 'pool.name': 'all', only: 'shared' });
    await set(server, 'orders', { 'pool.size': '6' });
    await set(server, 'orders', { token: secret }, { secret: true });
    await set(server, 'application', { 'pool.size': '7' }, { profile: 'test' });
    await set(server, 'orders', { 'pool.size': '8' }, { profile: 'test' });
    await set(server, 'orders', { 'pool.size': '9' }, { profile: 'eu' });
    await set(server, 'orders', { 'pool.size': '1' }, { label: 'feature/next' });
    await set(server, 'toys', { token: 'the-secret-of-toys' }, { secret: true });
  });
  afterAll(() => server.stop());

  const get = (
    path: string,
    authorization: string | undefined = writeBasicCredentials('orders', passwords.orders),
  ) => fetch(server.url + path, { headers: { ...(authorization && { authorization }) } });

  it('serves a standard client', async () => {
    const options = { endpoint: server.url, auth: { user: 'orders', pass: passwords.orders } };
    const plain = await load({ ...options, name: 'orders' });
    expect(plain.properties).toMatchObject({
      'pool.size': '6',
      'pool.name': 'all',
      only: 'shared',
      token: secret,
    });
    const test = await load({ ...options, name: 'orders', profiles: ['eu', 'test'] });
    expect(test.get('pool.size')).toBe('8');
    expect(test.raw).toMatchObject({ name: 'orders', profiles: ['eu', 'test'], label: 'main' });
    const next = await load({ ...options, name: 'orders', profiles: 'default', label: 'feature(_)next' });
    expect(next.properties).toEqual({ 'pool.size': '1' });
    const unauthorized = load({ ...options, name: 'orders', auth: { user: 'orders', pass: passwords.toys } });
    await expect(unauthorized).rejects.toThrow();
  });

  it('lists sources in order of precedence', async () => {
    const { propertySources, version } = (await (await get('/orders/eu,test')).json()) as {
      version: string;
      propertySources: { name: string; source: Record<string, string> }[];
    };
    expect(propertySources.map(({ name }) => name)).toEqual([
      ...['orders-test@main', 'application-test@main', 'orders-eu@main'],
      ...['orders-default@main', 'application-default@main'],
    ]);
    expect(propertySources[0]!.source).toEqual({ 'pool.size': '8' });
    expect(version).toBe('1.1.1.2.1');
  });

  it('writes YAML, properties and JSON', async () => {
    const tree = { pool: { size: '8', name: 'all' }, only: 'shared', token: secret };
    for (const path of ['/orders-test.yml', '/orders-test.yaml', '/main/orders-test.yml'])
      expect(parse(await (await get(path)).text())).toEqual(tree);
    expect(await (await get('/orders-test.json')).json()).toEqual(tree);
    expect(await (await get('/orders-test.properties')).text()).toBe(
      `only=shared\npool.name=all\npool.size=8\ntoken=${secret}\n`,
    );
    expect(await (await get('/feature(_)next/orders-default.properties')).text()).toBe('pool.size=1\n');
    expect(await (await get('/application-default.properties')).text()).not.toContain(secret);
  });

  it('returns a service its own and the shared settings, and requires its password', async () => {
    const toys = writeBasicCredentials('toys', passwords.toys);
    const paths = [
      '/orders/default',
      '/orders/default/main',
      '/orders-default.yml',
      '/main/orders-default.json',
    ];
    for (const path of paths) {
      const forbidden = await get(path, toys);
      expect([path, forbidden.status]).toEqual([path, 403]);
      expect(await forbidden.text()).not.toContain(secret);
      for (const invalid of [
        '',
        writeBasicCredentials('orders', 'wrong'),
        writeBasicCredentials('unknown', passwords.orders),
        writeBasicCredentials('', ''),
        'Basic ?',
        writeBasicCredentials('orders', passwords.orders).replace('Basic b', 'Basic *b'),
        writeBasicCredentials('orders', passwords.orders).replaceAll('=', ''),
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
    expect((await get('/orders-default.exe')).status).toBe(404);
  });
});
