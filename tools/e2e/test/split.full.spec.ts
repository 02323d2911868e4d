import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { until } from '../src/jogakbo.ts';
import { Store } from '../src/store.ts';

const store = new Store();
/** The version of the store's own catalog. */
let ownVersion: string;
// With TLS: the rest of its tests is part of `npm run test:full`.
beforeAll(async () => {
  await store.start(['--no-seed', '--only', 'config,gateway,identity,catalog,registry'], {
    JOGAKBO_TLS: '1',
  });
  [ownVersion] = (await listInstances()).map(({ version }) => version) as [string];
}, 180_000);
afterAll(() => store.remove());

const split = (...args: string[]) => store.run(['split', ...args]);
async function listInstances(): Promise<{ version: string; url: string }[]> {
  const token = store.getToken('operator');
  return (await store.call('GET', '/v1/ops/instances?service=catalog', { token })).body.items;
}

/** Number of messages with this name that the instances of a version have handled. */
async function countHandled(version: string, message: string): Promise<number> {
  const urls = (await listInstances()).filter((one) => one.version === version);
  const texts = await Promise.all(urls.map(async ({ url }) => (await fetch(`${url}/metrics`)).text()));
  const line = new RegExp(`^messages_handled_seconds_count\\{.*message="${message}".* (\\d+)$`, 'gm');
  return texts.flatMap((text) => [...text.matchAll(line)]).reduce((sum, [, count]) => sum + Number(count), 0);
}

describe('jogakbo split', () => {
  it('finds a service of the store under the version of its content', () =>
    expect(ownVersion).toMatch(/^\d+\.\d+\.\d+-[0-9a-f]{10}$/));

  it('reports invalid arguments, and changes nothing', async () => {
    expect((await split('catalog', '1.4.0=ten')).output).toContain('is not version=percent');
    expect((await split('catalog', 'a=60%', 'b=41%')).output).toContain('add up to more than 100 %');
    expect(await split('catalogue', 'a=1%')).toEqual({
      code: 2,
      output: expect.stringContaining('No instance of "catalogue" runs'),
    });
    expect(await split()).toEqual({ code: 0, output: 'No calls are split.\n' });
  });

  it('rejects a version that does not run', async () => {
    const { code, output } = await split('catalog', '1.4.0=100%');
    expect({ code, output }).toEqual({
      code: 2,
      output: expect.stringContaining('catalog 1.4.0 does not run'),
    });
    expect(output).toContain(`running: ${ownVersion}`);
    expect(await split()).toEqual({ code: 0, output: 'No calls are split.\n' });
  });

  it('routes the share to the other version at once, reports when that version stops, and ends', async () => {
    const { child, output } = store.spawn(['serve', 'catalog', '--version', '1.4.0']);
    await until(() => output().includes('catalog is ready'), 60_000);
    expect((await store.listRows()).filter(({ service }) => service === 'catalog')).toMatchObject([
      { state: 'ready' },
      { state: 'served', version: '1.4.0' },
    ]);
    const started = await until(async () => {
      const result = await split('catalog', '1.4.0=100%');
      return result.code === 0 && result;
    });
    expect(started.output).toMatch(/gateway: +in force/);
    expect(started.output).toMatch(/catalog: +in force/);
    const list = () => store.call('GET', '/v1/products', { headers: { 'cache-control': 'no-cache' } });
    await until(async () => {
      expect((await list()).status).toBe(200);
      return (await countHandled('1.4.0', 'catalog.list-products')) > 0;
    }, 5_000);
    const before = await countHandled(ownVersion, 'catalog.list-products');
    for (let nth = 0; nth < 20; nth++) expect((await list()).status).toBe(200);
    expect(await countHandled(ownVersion, 'catalog.list-products')).toBe(before);
    expect((await split('catalog')).output).toMatch(/1\.4\.0 +100% +1\n.*others +0% +1\n/);

    child.kill('SIGTERM');
    await until(() => child.exitCode !== null || child.signalCode !== null, 15_000);
    await until(async () => (await split('catalog')).output.includes('0: its calls go to the others'));
    expect((await list()).status).toBe(200);

    const ended = await split('catalog', '--end', '--reason', 'seen enough');
    expect(ended).toMatchObject({
      code: 0,
      output: expect.stringMatching(/gateway: +in force: the default[^]*catalog: +in force: the default/),
    });
    expect((await split()).output).toBe('No calls are split.\n');
    const { output: history } = await store.run(['config', 'history', 'application']);
    expect(history).toContain('seen enough');
    expect(history).toContain('split catalog 1.4.0=100%');
    await until(
      async () =>
        (await list()).status === 200 && (await countHandled(ownVersion, 'catalog.list-products')) > before,
      5_000,
    );
  }, 120_000);
});
