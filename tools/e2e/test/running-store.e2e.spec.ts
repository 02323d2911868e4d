import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import pg from 'pg';
import { probeBroker } from '@jogakbo/cli/src/backing/rabbitmq/broker-probe.ts';
import { isFree } from '@jogakbo/cli/src/supervisor/ports.ts';
import { connectionLimit } from '@jogakbo/cli/src/backing/postgres/service-databases.ts';
import {
  readCommand,
  isAlive,
  identifyProcess,
  type ProcessIdentity,
  listTree,
} from '@jogakbo/cli/src/supervisor/processes.ts';
import { FakeWorkspace } from '../src/fake-workspace.ts';
import { until } from '../src/jogakbo.ts';

const workspace = new FakeWorkspace();
const names = ['gateway', 'identity', 'orders'];
const getLastLine = (text: string) => text.trimEnd().split('\n').at(-1);

/** Environment variables of a service, which the fake service returns over HTTP. */
async function readEnvironment(service: string): Promise<NodeJS.ProcessEnv> {
  const { url } = (await workspace.findRow(service))!;
  return (await (await fetch(url!.replace('localhost', '127.0.0.1'))).json()) as NodeJS.ProcessEnv;
}

async function logIn(url: string): Promise<string> {
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

/** PID of the build process of a `serve`. */
const findBuilder = (serve: number) => listTree(serve).find((pid) => readCommand(pid).includes('build.ts'))!;

async function listProcesses(): Promise<ProcessIdentity[]> {
  const rows = await workspace.listRows();
  return rows.flatMap(({ pid }) => (pid ? listTree(pid) : [])).flatMap((pid) => identifyProcess(pid) ?? []);
}

describe('a running store', () => {
  beforeAll(() => workspace.make(names));
  afterAll(() => workspace.remove());

  it('starts in the background, and prints its URL in the last line', async () => {
    const { code, output } = await workspace.run(['start', '--detach', '--no-seed']);
    expect(getLastLine(output)).toBe(`ready: http://localhost:${workspace.port}`);
    expect(code).toBe(0);
    expect(output).toMatch(/merchant@jogakbo\.example +\S{12,} +merchant/);
    const rows = await workspace.listRows();
    expect(rows.map(({ service, state }) => `${service} ${state}`)).toEqual([
      ...names.map((name) => `${name} ready`),
      ...['broker ready', 'database ready', 'supervisor ready'],
    ]);
    expect(rows.every(({ memory }) => memory > 0)).toBe(true);
  });

  it('gives each service a login for its own database only', async () => {
    const orders = (await readEnvironment('orders')).DATABASE_URL!;
    const identity = (await readEnvironment('identity')).DATABASE_URL!;
    expect(await logIn(orders)).toBe('orders');
    expect(await logIn(identity)).toBe('identity');
    expect(await logIn(orders.replace(/\/orders$/, '/identity'))).toBe('42501');
    expect(await logIn(orders.replace(/\/orders$/, '/postgres'))).toBe('42501');
    expect(await readEnvironment('gateway')).not.toHaveProperty('DATABASE_URL');
  });

  it('limits the connections of each login', async () => {
    const { DATABASE_URL } = await readEnvironment('orders');
    const clients = Array.from({ length: connectionLimit + 1 }, () => new pg.Client(DATABASE_URL));
    for (const client of clients) client.on('error', () => undefined);
    const results = await Promise.allSettled(clients.map((client) => client.connect()));
    const rejected = results.filter((one) => one.status === 'rejected').map(({ reason }) => reason.code);
    expect(rejected.length).toBeGreaterThan(0);
    expect(new Set(rejected)).toEqual(new Set(['53300']));
    expect(await logIn((await readEnvironment('identity')).DATABASE_URL!)).toBe('identity');
    await Promise.all(clients.map((client) => client.end().catch(() => undefined)));
  });

  it('gives each service its own broker login with the name of the service', async () => {
    const logins = await Promise.all(
      names.map(async (name) => {
        const { RABBITMQ_URL: url, BROKER_OPERATOR: operator } = await readEnvironment(name);
        const { username, password } = new URL(url!);
        expect(operator).toBe('jogakbo');
        expect(await probeBroker(url!)).toBeUndefined();
        return { username, password };
      }),
    );
    expect(logins.map(({ username }) => username)).toEqual(names);
    expect(new Set(logins.map(({ password }) => password)).size).toBe(names.length);
  });

  it('starts only once', async () => {
    const again = await workspace.run(['start']);
    expect(again).toMatchObject({ code: 0, output: expect.stringContaining('already running') });
    const elsewhere = await workspace.run(['start', '--port', '1']);
    expect(elsewhere).toMatchObject({ code: 1, output: expect.stringContaining('JOGAKBO_HOME') });
  });

  it('is named with its folder if another store uses its port', async () => {
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
    const { output: report } = await workspace.run(['doctor'], { PORT: '' });
    expect(report).toContain(`${workspace.port} is this store's own`);
  });

  it('restarts a killed service and logs it', async () => {
    const before = (await workspace.findRow('orders'))!;
    process.kill(before.pid!, 'SIGKILL');
    const after = await until(async () => {
      const row = await workspace.findRow('orders');
      return row?.state === 'ready' && row.pid !== before.pid && row;
    });
    expect(after.restarts).toBe(1);
    const { output } = await workspace.run(['logs', 'supervisor']);
    expect(output).toContain('orders ended (SIGKILL); starting it again in 0.5 s');
    expect(output).toContain('orders is back');
  });

  it('restarts a killed broker and a killed database', async () => {
    for (const role of ['broker', 'database']) {
      const before = (await workspace.findRow(role))!;
      process.kill(before.pid!, 'SIGKILL');
      await until(async () => {
        const row = await workspace.findRow(role);
        return row?.state === 'ready' && row.pid !== before.pid;
        // The broker is slow to start on a busy machine.
      }, 60_000);
    }
    expect(await logIn((await readEnvironment('orders')).DATABASE_URL!)).toBe('orders');
  });

  it('hands a service over to serve, and takes it back', async () => {
    const { child, output } = workspace.spawn(['serve', 'orders']);
    await until(() => output().includes('took orders over'));
    const served = await until(async () => {
      const row = await workspace.findRow('orders');
      return row?.state === 'served' && row;
    });
    expect(served).toMatchObject({ pid: expect.any(Number), url: expect.stringContaining('127.0.0.1') });
    expect(workspace.findRecord('orders')?.state).toBe('suspended');
    expect((await workspace.run(['restart', 'orders'])).output).toContain(
      'Another command serves or deploys orders',
    );

    // After a change, the previous instance answers until the new one is ready.
    process.kill(findBuilder(child.pid!), 'SIGUSR2');
    const readStatus = async () => (await fetch(served.url!)).status;
    const next = await until(async () => {
      const row = (await workspace.findRow('orders'))!;
      if (row.pid === served.pid) expect(await readStatus().catch(() => row.pid)).toBeTruthy();
      return row.state === 'served' && row.pid !== served.pid && row;
    });
    expect((await fetch(next.url!)).status).toBe(200);

    // An instance that does not become ready changes nothing.
    workspace.addService('orders', 'process.exit(3);');
    process.kill(findBuilder(child.pid!), 'SIGUSR2');
    await until(() => output().includes('orders did not become ready'));
    expect(await workspace.findRow('orders')).toMatchObject({ state: 'served', pid: next.pid });
    workspace.addService('orders');

    // If the served instance dies, the store runs its own until the next change.
    process.kill(next.pid!, 'SIGKILL');
    await until(async () => (await workspace.findRow('orders'))?.state === 'ready');
    process.kill(findBuilder(child.pid!), 'SIGUSR2');
    await until(async () => (await workspace.findRow('orders'))?.state === 'served');

    child.kill('SIGINT');
    await until(() => child.exitCode !== null);
    expect(child.exitCode).toBe(0);
    // The store's own instance was ready before the served one ended.
    expect((await workspace.findRow('orders'))?.state).toBe('ready');
  });

  it('serves the gateway without a failed request', async () => {
    const { child, output } = workspace.spawn(['serve', 'gateway']);
    const failed: unknown[] = [];
    let sent = 0;
    let isDone = false;
    const sending = (async () => {
      while (!isDone) {
        sent += 1;
        await fetch(`http://127.0.0.1:${workspace.port}/`, { headers: { connection: 'close' } })
          .then((response) => response.text())
          .catch((error) => failed.push(error));
      }
    })();
    const waitUntilReady = (times: number) =>
      until(
        () => output().split('gateway is ready at').length > times && output().includes('took gateway over'),
      );
    await waitUntilReady(1);
    process.kill(findBuilder(child.pid!), 'SIGUSR2');
    await waitUntilReady(2);
    child.kill('SIGINT');
    await until(() => child.exitCode !== null);
    isDone = true;
    await sending;
    expect(sent).toBeGreaterThan(20);
    // The kernel resets connections in the accept queue of a closing listener. No other request may fail.
    if (process.platform === 'linux') expect(failed.length).toBeLessThanOrEqual(2);
    expect((await workspace.findRow('gateway'))?.state).toBe('ready');
  });

  it('serves a service that was added after the start', async () => {
    workspace.addService('payments');
    const { child, output } = workspace.spawn(['serve', 'payments']);
    await until(() => output().includes('serve: payments is ready at'));
    const row = await until(() => workspace.findRow('payments'));
    expect(row).toMatchObject({ service: 'payments', state: 'served' });
    const { DATABASE_URL: database, RABBITMQ_URL: broker } = await readEnvironment('payments');
    expect(await logIn(database!)).toBe('payments');
    expect(await probeBroker(broker!)).toBeUndefined();
    child.kill('SIGINT');
    await until(() => child.exitCode !== null);
    expect(child.exitCode).toBe(0);
    expect(await workspace.findRow('payments')).toBeUndefined();
  });

  it('recovers after its supervisor was killed', async () => {
    const before = await workspace.listRows();
    const findPid = (name: string) => before.find(({ service }) => service === name)!.pid!;
    const services = names.map((name) => identifyProcess(findPid(name)));
    process.kill(findPid('supervisor'), 'SIGKILL');
    await until(() => !services.some(isAlive));
    // The port stays the same.
    const { code, output } = await workspace.run(['start', '--detach', '--no-seed'], { PORT: '' });
    expect(getLastLine(output)).toBe(`ready: http://localhost:${workspace.port}`);
    expect(code).toBe(0);
    expect(output).not.toContain('shown once');
    expect((await workspace.findRow('broker'))?.pid).toBe(findPid('broker'));
    expect((await workspace.findRow('database'))?.pid).toBe(findPid('database'));
  });

  it('stops without leaving a process or an open port', async () => {
    const processes = await listProcesses();
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
