import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { until } from './jogakbo.ts';
import { Store } from './store.ts';

const store = new Store();
beforeAll(() => store.start(['--no-seed', '--only', 'config,gateway,identity,catalog,registry']), 180_000);
afterAll(() => store.remove());

const split = (...args: string[]) => store.run(['split', ...args]);
/** The store's own services are of this version. */
const own = '0.1.0';

/** How many messages of this kind the instances of a version have handled. */
async function handled(version: string, message: string): Promise<number> {
  const { body } = await store.call('GET', '/v1/ops/instances?service=catalog', {
    token: store.staff('operator'),
  });
  const urls = (body.items as { version: string; url: string }[]).filter((one) => one.version === version);
  const texts = await Promise.all(urls.map(async ({ url }) => (await fetch(`${url}/metrics`)).text()));
  const line = new RegExp(`^messages_handled_seconds_count\\{.*message="${message}".* (\\d+)$`, 'gm');
  return texts.flatMap((text) => [...text.matchAll(line)]).reduce((sum, [, count]) => sum + Number(count), 0);
}

describe('jogakbo split', () => {
  it('says what is wrong, and nothing is split', async () => {
    expect((await split('catalog', '1.4.0=ten')).output).toContain('is not version=percent');
    expect((await split('catalog', 'a=60%', 'b=41%')).output).toContain('more than 100 % together');
    expect(await split('catalogue', 'a=1%')).toEqual({
      code: 2,
      output: expect.stringContaining('No instance of "catalogue" runs'),
    });
    expect(await split()).toEqual({ code: 0, output: 'No calls are split.\n' });
  });

  it('refuses a version that does not run', async () => {
    const { code, output } = await split('catalog', '1.4.0=100%');
    expect({ code, output }).toEqual({
      code: 2,
      output: expect.stringContaining('catalog 1.4.0 does not run'),
    });
    expect(output).toContain(`running: ${own}`);
    expect(await split()).toEqual({ code: 0, output: 'No calls are split.\n' });
  });

  it('has the other version take its share at once, tells when it is away, and ends', async () => {
    const { child, output } = store.spawn(['serve', 'catalog', '--version', '1.4.0']);
    await until(() => output().includes('catalog is ready'), 60_000);
    expect((await store.rows()).filter(({ service }) => service === 'catalog')).toMatchObject([
      { state: 'ready' },
      { state: 'served', version: '1.4.0' },
    ]);
    const begun = await until(async () => {
      const said = await split('catalog', '1.4.0=100%');
      return said.code === 0 && said;
    });
    expect(begun.output).toMatch(/gateway: +in force/);
    expect(begun.output).toMatch(/catalog: +in force/);
    const list = () => store.call('GET', '/v1/products', { headers: { 'cache-control': 'no-cache' } });
    await until(async () => {
      expect((await list()).status).toBe(200);
      return (await handled('1.4.0', 'catalog.list-products')) > 0;
    }, 5_000);
    const before = await handled(own, 'catalog.list-products');
    for (let nth = 0; nth < 20; nth++) expect((await list()).status).toBe(200);
    expect(await handled(own, 'catalog.list-products')).toBe(before);
    expect((await split('catalog')).output).toMatch(/1\.4\.0 +100% +1\n.*others +0% +1\n/);

    child.kill('SIGTERM');
    await until(() => child.exitCode !== null || child.signalCode !== null, 15_000);
    await until(async () => (await split('catalog')).output.includes('0: its calls go to the others'));
    expect((await list()).status).toBe(200);

    const ended = await split('catalog', '--end', '--reason', 'seen enough');
    expect(ended).toMatchObject({
      code: 0,
      output: expect.stringMatching(/gateway: +in force: the default/),
    });
    expect((await split()).output).toBe('No calls are split.\n');
    const { output: history } = await store.run(['config', 'history', 'application']);
    expect(history).toContain('seen enough');
    expect(history).toContain('split catalog 1.4.0=100%');
    await until(
      async () => (await list()).status === 200 && (await handled(own, 'catalog.list-products')) > before,
      5_000,
    );
  }, 120_000);
});
