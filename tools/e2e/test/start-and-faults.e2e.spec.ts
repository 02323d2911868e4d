import { existsSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import {
  startThrowawayServices,
  type ThrowawayServices,
} from '@jogakbo/cli/src/backing/throwaway-services.ts';
import { FakeWorkspace } from '../src/fake-workspace.ts';
import { until } from '../src/jogakbo.ts';

const workspace = new FakeWorkspace();
let services: ThrowawayServices | undefined;
let attached: NodeJS.ProcessEnv;

beforeAll(async () => {
  await workspace.make(['gateway', 'orders']);
  const { TEST_RABBITMQ_URL, TEST_DATABASE_URL } = process.env;
  if (!TEST_RABBITMQ_URL || !TEST_DATABASE_URL) services = await startThrowawayServices(() => undefined);
  attached = {
    RABBITMQ_URL: services?.env.TEST_RABBITMQ_URL ?? TEST_RABBITMQ_URL,
    DATABASE_URL: services?.env.TEST_DATABASE_URL ?? TEST_DATABASE_URL,
  };
});
afterAll(async () => {
  await workspace.remove();
  await services?.stop();
});

const start = (env: NodeJS.ProcessEnv = {}, ...args: string[]) =>
  workspace.run(['start', '--no-seed', ...args], { ...attached, ...env });
const expectStopped = () => expect(existsSync(join(workspace.home, 'run.json'))).toBe(false);

describe('a start in the foreground', () => {
  it('uses the given servers, and stops cleanly on repeated Ctrl-C', async () => {
    const { child, output } = workspace.spawn(['start', '--no-seed'], attached);
    await until(() => output().includes(`ready: http://localhost:${workspace.port}`));
    expect((await workspace.findRow('broker'))?.state).toBe('external');
    child.kill('SIGINT');
    child.kill('SIGINT');
    await until(() => child.exitCode !== null);
    expect(child.exitCode).toBe(0);
    expect(output()).toContain('stopped; no process is left');
    expect(output()).not.toContain('at once');
    expectStopped();
  });

  it('can be interrupted while it starts', async () => {
    const { child, output } = workspace.spawn(['start', '--no-seed'], attached);
    await until(() => output().includes('Build'));
    child.kill('SIGTERM');
    await until(() => child.exitCode !== null);
    expectStopped();
  });
});

describe('a failed start', () => {
  it('prints every invalid setting at once', async () => {
    const { code, output } = await start({ FAKE_WRONG: 'orders' });
    expect(code).toBe(1);
    expect(output).toContain('PORT: must be a number (environment)');
    expect(output).toContain('COLOUR: is missing (environment)');
    expect(output).not.toMatch(/^\s+at /m);
    expectStopped();
  });

  it('prints the last log lines of a service that crashes', async () => {
    const { code, output } = await start({ FAKE_CRASH: 'orders' }, '--detach');
    expect(code).toBe(1);
    expect(output).toContain('orders ended (code 1) before it was ready');
    expect(output).toContain('about to fall');
    expect(output).toContain('fell over');
    expectStopped();
  });

  it('names the process that uses the port', async () => {
    const holder: Server = createServer();
    await new Promise<void>((resolve) => holder.listen(workspace.port, '127.0.0.1', () => resolve()));
    const { code, output } = await start();
    holder.close();
    expect(code).toBe(1);
    expect(output).toContain(`Port ${workspace.port} is in use by process ${process.pid}`);
    expect(output).toContain('PORT=');
    expectStopped();
  });

  it.each([
    ['a broker that does not answer', { RABBITMQ_URL: 'amqp://a:secret@127.0.0.1:1' }, 'ECONNREFUSED'],
    ['a broker URL with another scheme', { RABBITMQ_URL: 'http://127.0.0.1' }, 'not amqp://'],
    [
      'a database that does not answer',
      { DATABASE_URL: 'postgresql://a:secret@127.0.0.1:1/x' },
      'ECONNREFUSED',
    ],
    ['a database URL that is not a URL', { DATABASE_URL: 'nonsense' }, 'not a URL'],
  ])('explains what to do about %s', async (_what, env, reason) => {
    const { code, output } = await start(env);
    expect(code).toBe(1);
    expect(output).toContain(`${Object.keys(env)[0]} cannot be used`);
    expect(output).toContain(reason);
    expect(output).toContain('What to do:');
    expect(output).not.toContain('secret');
    expectStopped();
  });

  it('reports a login that the broker rejects', async () => {
    const { output } = await start({ RABBITMQ_URL: attached.RABBITMQ_URL!.replace(/:[^:@]+@/, ':wrong@') });
    expect(output).toMatch(/RABBITMQ_URL cannot be used: ACCESS_REFUSED/);
  });
});

describe('the command line', () => {
  it.each([
    [['nonsense'], 'no command'],
    [['strat'], 'did you mean start?'],
    [['test', 'nonsense'], 'no project called nonsense'],
    [['replay', 'orders', '--from', '2026-02-30'], '2026-02-30 is not a time'],
    [['replay', 'orders', '--from', '2026-01-01', '--to', '2025-02-29T10:00:00Z'], 'is not a time'],
    [['start', '--nonsense'], 'Unknown option'],
    [['start', '--port', 'x'], 'not a port'],
    [['start', '--only', 'unknown'], 'no service called unknown'],
    [['logs', 'unknown'], 'no log of unknown'],
  ])('rejects %j with exit code 2', async (args, reason) => {
    const { code, output } = await workspace.run(args);
    expect(code).toBe(2);
    expect(output).toContain(reason);
  });

  it('prints its version', async () => {
    expect(await workspace.run(['--version'])).toEqual({ code: 0, output: '1.2.3\n' });
  });

  it('prints its help', async () => {
    expect(await workspace.run(['--help'])).toMatchObject({
      code: 0,
      output: expect.stringContaining('doctor'),
    });
    expect(await workspace.run(['start', '--help'])).toMatchObject({
      code: 0,
      output: expect.stringContaining('--detach'),
    });
  });

  it('checks the machine', async () => {
    const healthy = await workspace.run(['doctor'], attached);
    expect(healthy).toMatchObject({ code: 0, output: expect.stringContaining('Everything is in order.') });
    const faulty = await workspace.run(['doctor'], { ...attached, DATABASE_URL: 'nonsense' });
    expect(faulty).toMatchObject({ code: 1, output: expect.stringMatching(/fault +database/) });
  });

  it('runs a command with backing services, and returns its exit code', async () => {
    const given = { TEST_RABBITMQ_URL: 'amqp://given', TEST_DATABASE_URL: 'postgresql://given' };
    const command = ['with-backing-services', '--', 'sh', '-c', 'echo $TEST_RABBITMQ_URL; exit 7'];
    expect(await workspace.run(command, given)).toEqual({ code: 7, output: 'amqp://given\n' });
  });
});
