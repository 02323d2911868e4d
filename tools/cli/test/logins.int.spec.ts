import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createPrivateBroker, type PrivateBroker } from '@jogakbo/testing';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { probeBroker } from '../src/backing/rabbitmq/broker-probe.ts';
import { nodePath, root } from '../src/workspace.ts';

const workspace = mkdtempSync(join(tmpdir(), 'jogakbo-logins-'));
const home = join(workspace, '.jogakbo');
const management = new URL(process.env.TEST_RABBITMQ_MANAGEMENT_URL!);
let broker: PrivateBroker;

function addService(service: string): void {
  const folder = join(workspace, 'apps', service);
  mkdirSync(join(folder, 'dist'), { recursive: true });
  const manifest = { name: service, main: 'dist/main.js', jogakbo: { owner: 'tests' } };
  writeFileSync(join(folder, 'package.json'), JSON.stringify(manifest));
  const nothing = { contracts: [], calls: [], subscribesTo: [], publishes: [], isGateway: false };
  writeFileSync(join(folder, 'dist', 'bus.json'), JSON.stringify({ service, ...nothing }));
}

beforeAll(async () => {
  broker = await createPrivateBroker();
  for (const service of ['logins-a', 'logins-b']) addService(service);
  writeFileSync(join(workspace, 'package.json'), '{"version":"1.0.0"}');
  symlinkSync(join(root, 'node_modules'), join(workspace, 'node_modules'));
});
afterAll(async () => {
  const authorization = `Basic ${btoa(`${management.username}:${management.password}`)}`;
  for (const name of ['logins-a', 'logins-b'])
    await fetch(new URL(`/api/users/${name}`, management.origin), {
      method: 'DELETE',
      headers: { authorization },
    });
  await broker.drop();
  rmSync(workspace, { recursive: true });
});

function runLogins(env: NodeJS.ProcessEnv) {
  const { status, stdout, stderr } = spawnSync(nodePath(), [join(root, 'tools/cli/src/main.ts'), 'logins'], {
    encoding: 'utf8',
    env: {
      ...process.env,
      JOGAKBO_WORKSPACE: workspace,
      JOGAKBO_HOME: home,
      RABBITMQ_URL: broker.url,
      RABBITMQ_MANAGEMENT_URL: management.origin,
      ...env,
    },
  });
  return { status, output: `${stdout}${stderr}` };
}
const probe = (username: string, password: string) =>
  probeBroker(Object.assign(new URL(broker.url), { username, password }).href);

it('changes only the logins that BROKER_PASSWORDS names', async () => {
  const both = JSON.stringify({ 'logins-a': 'one', 'logins-b': 'two' });
  expect(runLogins({ BROKER_PASSWORDS: both })).toEqual({
    status: 0,
    output: expect.stringContaining('2 services have their own logins: logins-a, logins-b'),
  });
  const { status, output } = runLogins({ BROKER_PASSWORDS: '{"logins-a":"three"}' });
  expect({ status, output }).toEqual({ status: 0, output: expect.stringContaining('not changed: logins-b') });
  expect(await Promise.all([probe('logins-a', 'three'), probe('logins-b', 'two')])).toEqual([
    undefined,
    undefined,
  ]);
});

it('changes the broker of RABBITMQ_URL also while a store runs here', async () => {
  const { identifyProcess } = await import('../src/supervisor/processes.ts');
  const broker = { kind: 'process', title: 'a private RabbitMQ', url: 'amqp://127.0.0.1:1', roots: [] };
  const run = { supervisor: identifyProcess(process.pid), phase: 'ready', services: [], broker };
  writeFileSync(join(home, 'run.json'), JSON.stringify(run));
  expect(runLogins({ BROKER_PASSWORDS: '{"logins-a":"five"}' })).toMatchObject({ status: 0 });
  expect(await probe('logins-a', 'five')).toBeUndefined();
});

it('does not connect to the broker of a store that was killed', () => {
  const run = {
    supervisor: { pid: process.pid, began: 'an earlier boot' },
    services: [],
    broker: {
      kind: 'process',
      title: 'a private RabbitMQ',
      url: 'amqp://127.0.0.1:1',
      managementUrl: 'http://127.0.0.1:1',
    },
  };
  writeFileSync(join(home, 'run.json'), JSON.stringify(run));
  expect(runLogins({ BROKER_PASSWORDS: '{"logins-a":"four"}' })).toMatchObject({ status: 0 });
});
