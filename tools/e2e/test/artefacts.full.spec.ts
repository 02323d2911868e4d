import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { ensureConfigSecrets } from '@jogakbo/cli/src/supervisor/config-secrets.ts';
import {
  buildEnvironment,
  findReadyRoutes,
  getMemoryFlags,
  type LaunchContext,
} from '@jogakbo/cli/src/supervisor/service-launch.ts';
import { ensureSecrets, openState } from '@jogakbo/cli/src/supervisor/state.ts';
import { type App, listApps, nodePath, root } from '@jogakbo/cli/src/workspace.ts';
import { readWorkspaceConfig } from '@jogakbo/contract/workspace';
import { type Artefact, writeArtefact } from '@jogakbo/delivery/src/artefact.ts';
import { WorkspaceContents } from '@jogakbo/delivery/src/content.ts';
import { createPrivateBroker, createPrivateDatabase, type Private } from '@jogakbo/testing';
import { until } from '../src/jogakbo.ts';

// Outside of the workspace: Node finds no package of the workspace from there.
const folder = mkdtempSync(join(tmpdir(), 'jogakbo-artefacts-'));
const apps = listApps();

interface Started {
  artefact: Artefact;
  child: ChildProcess;
  url: Promise<string>;
  output(): string;
}

const owned: Private[] = [];
const started = new Map<string, Started>();

/** The environment of each service, as `npm start` makes it. */
async function createContext(): Promise<LaunchContext> {
  const names = apps.map(({ name }) => name);
  const state = openState(join(folder, 'state'));
  const facts = await readWorkspaceConfig(root);
  const [broker, ...databases] = await Promise.all([
    createPrivateBroker(),
    ...apps.filter(({ hasDatabase }) => hasDatabase).map(createDatabase),
  ]);
  owned.push(broker, ...databases.map(([, database]) => database));
  const { serviceKeys } = ensureSecrets(state, names);
  return {
    ...{ state, facts, serviceKeys, readyRoutes: findReadyRoutes(facts, apps) },
    ...{ publicUrl: 'http://localhost', ports: {}, backingEndpoints: [], versions: {} },
    broker: { urls: Object.fromEntries(names.map((name) => [name, broker.url])) },
    databaseUrls: Object.fromEntries(databases.map(([name, { url }]) => [name, url])),
    ...{ staffFile: '', openIdClientsFile: '', config: ensureConfigSecrets(state, apps) },
  };
}

const createDatabase = async ({ name }: App): Promise<[string, Private]> => [
  name,
  await createPrivateDatabase(),
];

async function startArtefact(app: App, context: LaunchContext): Promise<Started> {
  const target = join(folder, app.name);
  const artefact = writeArtefact(new WorkspaceContents(root), app.name, target);
  const { STAFF_FILE: _staff, OIDC_CLIENTS_FILE: _clients, ...env } = buildEnvironment(app, context);
  const cwd = join(target, 'apps', app.name);
  if (app.hasDatabase) {
    const { stderr } = await promisify(execFile)(nodePath(), ['dist/main.js', 'migrate'], { cwd, env });
    expect(stderr).toBe('');
  }
  const args = [...getMemoryFlags(app.manifest), '--import=./dist/source-maps.js', 'dist/main.js'];
  const child = spawn(nodePath(), args, { cwd, env, stdio: ['ignore', 'pipe', 'pipe', 'ipc'] });
  let output = '';
  for (const stream of [child.stdout!, child.stderr!])
    stream.setEncoding('utf8').on('data', (text) => (output += text));
  const url = new Promise<string>((resolve, reject) => {
    child.on('message', (message: { type?: string; url?: string }) => {
      if (message.type === 'ready') resolve(message.url!);
    });
    child.on('exit', (code) => reject(new Error(`${app.name} exited with ${code}: ${output}`)));
  });
  url.catch(() => undefined);
  return { artefact, child, url, output: () => output };
}

beforeAll(async () => {
  const context = await createContext();
  const all = apps.map(async (app) => started.set(app.name, await startArtefact(app, context)));
  await Promise.all(all);
}, 120_000);
afterAll(async () => {
  for (const { child } of started.values()) child.kill('SIGKILL');
  await Promise.all(owned.map((one) => one.drop()));
  rmSync(folder, { recursive: true, force: true });
});

describe('the artefact of every service', () => {
  it.each(apps.map(({ name }) => name))('%s becomes ready outside of the workspace', async (name) => {
    const { artefact, url } = started.get(name)!;
    const address = await url;
    await until(async () => (await fetch(`${address}/health/ready`)).ok, 30_000);
    expect(await (await fetch(`${address}/metrics`)).text()).toContain(`version="${artefact.version}"`);
  });

  it.each(apps.map(({ name }) => name))('%s stops without an error', async (name) => {
    const { child, output } = started.get(name)!;
    child.kill('SIGTERM');
    await until(() => child.exitCode !== null || child.signalCode !== null, 15_000);
    expect({ code: child.exitCode, output: output() }).toEqual({ code: 0, output: expect.any(String) });
  });
});
