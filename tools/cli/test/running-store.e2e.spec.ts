import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import pg from 'pg';
import { probeBroker } from '../src/backing/rabbitmq/broker-probe.ts';
import { isFree } from '../src/supervisor/ports.ts';
import { connectionLimit } from '../src/backing/postgres/service-databases.ts';
import { readCommand, isAlive, readMark, type ProcessMark, listTree } from '../src/supervisor/processes.ts';
import { FakeWorkspace } from './fake-workspace.ts';
import { until } from './jogakbo.ts';

const workspace = new FakeWorkspace();
const names = ['gateway', 'identity', 'orders'];
const getLastLine = (text: string) => text.trimEnd().split('\n').at(-1);

/** What each service was given, as it tells itself. */
async function getEnvironment(service: string): Promise<NodeJS.ProcessEnv> {
  const { url } = (await workspace.row(service))!;
  return (await (await fetch(url!.replace('localhost', '127.0.0.1'))).json()) as NodeJS.ProcessEnv;
}

async function login(url: string): Promise<string> {
  const client = new pg.Client({ connectionString: url });
  client.on('error', () => undefined);
  try {
    await client.connect();
    const { rows } = await client.query('SELECT current_database() AS name');
    return rows[0].name;
  } catch (error) {
    return (error as { code?: string }).code ?? String(error);
  } finally {
    await client.end().catch(() => undefined);
  }
}

/** The process that builds for a `serve`. */
const getBuilder = (serve: number) => listTree(serve).find((pid) => readCommand(pid).includes('build.ts'))!;

async function everyProcess(): Promise<ProcessMark[]> {
  const rows = await workspace.rows();
  return rows.flatMap(({ pid }) => (pid ? listTree(pid) : [])).flatMap((pid) => readMark(pid) ?? []);
}

describe('a running store', () => {
  beforeAll(() => workspace.make(names));
  afterAll(() => workspace.remove());

  it('starts in the background, and its last line says where', async () => {
    const { code, output } = await workspace.run(['start', '--detach', '--no-seed']);
    expect(getLastLine(output)).toBe(`ready: http://localhost:${workspace.port}`);
    expect(code).toBe(0);
    expect(output).toMatch(/merchant@jogakbo\.example +\S{12,} +merchant/);
    const rows = await workspace.rows();
    expect(rows.map(({ service, state }) => `${service} ${state}`)).toEqual([
      ...names.map((name) => `${name} ready`),
      ...['broker ready', 'database ready', 'supervisor ready'],
    ]);
    expect(rows.every(({ memory }) => memory > 0)).toBe(true);
  });

  it('gives each service a login that opens its own database and no other', async () => {
    const orders = (await getEnvironment('orders')).DATABASE_URL!;
    const identity = (await getEnvironment('identity')).DATABASE_URL!;
    expect(await login(orders)).toBe('orders');
    expect(await login(identity)).toBe('identity');
    expect(await login(orders.replace(/\/orders$/, '/identity'))).toBe('42501');
    expect(await login(orders.replace(/\/orders$/, '/postgres'))).toBe('42501');
    expect(await getEnvironment('gateway')).not.toHaveProperty('DATABASE_URL');
  });

  it('lets no login take all connections of the server', async () => {
    const { DATABASE_URL } = await getEnvironment('orders');
    const clients = Array.from({ length: connectionLimit + 1 }, () => new pg.Client(DATABASE_URL));
    for (const client of clients) client.on('error', () => undefined);
    const opened = await Promise.allSettled(clients.map((client) => client.connect()));
    const refused = opened.filter((one) => one.status === 'rejected').map(({ reason }) => reason.code);
    expect(refused.length).toBeGreaterThan(0);
    expect(new Set(refused)).toEqual(new Set(['53300']));
    expect(await login((await getEnvironment('identity')).DATABASE_URL!)).toBe('identity');
    await Promise.all(clients.map((client) => client.end().catch(() => undefined)));
  });

  it('gives each service a login of its own at the broker, called like the service', async () => {
    const logins = await Promise.all(
      names.map(async (name) => {
        const { RABBITMQ_URL: url, BROKER_OPERATOR: operator } = await getEnvironment(name);
        const { username, password } = new URL(url!);
        expect(operator).toBe('jogakbo');
        expect(await probeBroker(url!)).toBeUndefined();
        return { username, password };
      }),
    );
    expect(logins.map(({ username }) => username)).toEqual(names);
    expect(new Set(logins.map(({ password }) => password)).size).toBe(names.length);
  });

  it('is started once', async () => {
    const again = await workspace.run(['start']);
    expect(again).toMatchObject({ code: 0, output: expect.stringContaining('already running') });
    const elsewhere = await workspace.run(['start', '--port', '1']);
    expect(elsewhere).toMatchObject({ code: 1, output: expect.stringContaining('JOGAKBO_HOME') });
  });

  it('is named, with its folder, to another store that wants its port', async () => {
    const { code, output } = await workspace.run(['start'], {
      JOGAKBO_HOME: join(workspace.folder, 'other'),
    });
    expect(code).toBe(1);
    expect(output).toContain(
      `Port ${workspace.port} is in use by another store: the one in ${workspace.home}.`,
    );
    expect(output).toContain(`cd ${workspace.folder} && npm stop`);
    expect(output).toMatch(/PORT=\d+ npm start/);
    expect(output).not.toContain('kill');
    const { output: seen } = await workspace.run(['doctor'], { PORT: '' });
    expect(seen).toContain(`${workspace.port} is this store's own`);
  });

  it('starts a killed service again and says so', async () => {
    const before = (await workspace.row('orders'))!;
    process.kill(before.pid!, 'SIGKILL');
    const after = await until(async () => {
      const row = await workspace.row('orders');
      return row?.state === 'ready' && row.pid !== before.pid && row;
    });
    expect(after.restarts).toBe(1);
    const { output } = await workspace.run(['logs', 'supervisor']);
    expect(output).toContain('orders ended (SIGKILL); starting it again in 0.5 s');
    expect(output).toContain('orders is back');
  });

  it('starts a killed broker and a killed database again', async () => {
    for (const role of ['broker', 'database']) {
      const before = (await workspace.row(role))!;
      process.kill(before.pid!, 'SIGKILL');
      await until(async () => {
        const row = await workspace.row(role);
        return row?.state === 'ready' && row.pid !== before.pid;
        // A broker takes long on a busy machine.
      }, 60_000);
    }
    expect(await login((await getEnvironment('orders')).DATABASE_URL!)).toBe('orders');
  });

  it('lends a service to serve, and takes it back', async () => {
    const { child, output } = workspace.spawn(['serve', 'orders']);
    await until(() => output().includes('took orders over'));
    const served = await until(async () => {
      const row = await workspace.row('orders');
      return row?.state === 'served' && row;
    });
    expect(served).toMatchObject({ pid: expect.any(Number), url: expect.stringContaining('127.0.0.1') });
    expect(workspace.findRecord('orders')?.state).toBe('taken');
    expect((await workspace.run(['restart', 'orders'])).output).toContain('jogakbo serve runs orders');

    // A change: the instance of before answers until the new one is ready.
    process.kill(getBuilder(child.pid!), 'SIGUSR2');
    const answers = async () => (await fetch(served.url!)).status;
    const next = await until(async () => {
      const row = (await workspace.row('orders'))!;
      if (row.pid === served.pid) expect(await answers().catch(() => row.pid)).toBeTruthy();
      return row.state === 'served' && row.pid !== served.pid && row;
    });
    expect((await fetch(next.url!)).status).toBe(200);

    // One that does not become ready changes nothing.
    workspace.addService('orders', 'process.exit(3);');
    process.kill(getBuilder(child.pid!), 'SIGUSR2');
    await until(() => output().includes('orders did not become ready'));
    expect(await workspace.row('orders')).toMatchObject({ state: 'served', pid: next.pid });
    workspace.addService('orders');

    // One that dies is replaced by the store's own until the next change.
    process.kill(next.pid!, 'SIGKILL');
    await until(async () => (await workspace.row('orders'))?.state === 'ready');
    process.kill(getBuilder(child.pid!), 'SIGUSR2');
    await until(async () => (await workspace.row('orders'))?.state === 'served');

    child.kill('SIGINT');
    await until(() => child.exitCode !== null);
    expect(child.exitCode).toBe(0);
    // It was ready again before the served one ended.
    expect((await workspace.row('orders'))?.state).toBe('ready');
  });

  it('has its gateway served without a request that fails', async () => {
    const { child, output } = workspace.spawn(['serve', 'gateway']);
    const failed: unknown[] = [];
    let asked = 0;
    let over = false;
    const asking = (async () => {
      while (!over) {
        asked += 1;
        await fetch(`http://127.0.0.1:${workspace.port}/`, { headers: { connection: 'close' } })
          .then((response) => response.text())
          .catch((error) => failed.push(error));
      }
    })();
    const readyTimes = (times: number) =>
      until(
        () => output().split('gateway is ready at').length > times && output().includes('took gateway over'),
      );
    await readyTimes(1);
    process.kill(getBuilder(child.pid!), 'SIGUSR2');
    await readyTimes(2);
    child.kill('SIGINT');
    await until(() => child.exitCode !== null);
    over = true;
    await asking;
    expect(asked).toBeGreaterThan(20);
    // What waits to be accepted when a listener closes is reset by the kernel: that is all that may fail.
    if (process.platform === 'linux') expect(failed.length).toBeLessThanOrEqual(2);
    expect((await workspace.row('gateway'))?.state).toBe('ready');
  });

  it('has a service served that it did not know at its start', async () => {
    workspace.addService('payments');
    const { child, output } = workspace.spawn(['serve', 'payments']);
    await until(() => output().includes('serve: payments is ready at'));
    const row = await until(() => workspace.row('payments'));
    expect(row).toMatchObject({ service: 'payments', state: 'served' });
    const { DATABASE_URL: database, RABBITMQ_URL: broker } = await getEnvironment('payments');
    expect(await login(database!)).toBe('payments');
    expect(await probeBroker(broker!)).toBeUndefined();
    child.kill('SIGINT');
    await until(() => child.exitCode !== null);
    expect(child.exitCode).toBe(0);
    expect(await workspace.row('payments')).toBeUndefined();
  });

  it('recovers from the death of its supervisor', async () => {
    const before = await workspace.rows();
    const findPid = (name: string) => before.find(({ service }) => service === name)!.pid!;
    const services = names.map((name) => readMark(findPid(name)));
    process.kill(findPid('supervisor'), 'SIGKILL');
    await until(() => !services.some(isAlive));
    // Its port too is the one of before.
    const { code, output } = await workspace.run(['start', '--detach', '--no-seed'], { PORT: '' });
    expect(getLastLine(output)).toBe(`ready: http://localhost:${workspace.port}`);
    expect(code).toBe(0);
    expect(output).not.toContain('shown once');
    expect((await workspace.row('broker'))?.pid).toBe(findPid('broker'));
    expect((await workspace.row('database'))?.pid).toBe(findPid('database'));
  });

  it('leaves no process and no port when it stops', async () => {
    const processes = await everyProcess();
    const ports = JSON.parse(readFileSync(join(workspace.home, 'ports.json'), 'utf8')) as Record<
      string,
      number
    >;
    expect(processes.length).toBeGreaterThan(8);
    const { code, output } = await workspace.run(['stop']);
    expect(code).toBe(0);
    expect(getLastLine(output)).toBe('stopped; no process is left');
    expect(processes.filter(isAlive)).toEqual([]);
    for (const port of [...Object.values(ports), workspace.port]) expect(await isFree(port)).toBe(true);
    expect(existsSync(join(workspace.home, 'run.json'))).toBe(false);
    expect((await workspace.run(['logs', 'orders'])).output).toContain('draining');
  });
});
