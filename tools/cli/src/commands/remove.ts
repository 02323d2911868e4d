import { spawnSync } from 'node:child_process';
import { existsSync, globSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { loadContracts } from '@jogakbo/generators/contracts';
import { findDependants } from '@jogakbo/generators/dependants';
import { writeDerivedFiles } from '@jogakbo/generators/derived-files';
import { uninstallProjects } from '@jogakbo/generators/workspace-packages';
import { readWorkspaceConfig } from '@jogakbo/contract/workspace';
import { deleteServiceData, describeServiceData, hasServiceData } from '../supervisor/service-data.ts';
import { ControlClient } from '../supervisor/control-client.ts';
import { findRunningStore } from '../supervisor/running-state.ts';
import { openState, type StateFolder } from '../supervisor/state.ts';
import { CliError, UsageError } from '../terminal/cli-error.ts';
import { confirm } from '../terminal/confirm.ts';
import { toPrintable, toPrintableLines } from '../terminal/printable.ts';
import { listApps, root } from '../workspace.ts';

export interface RemoveOptions {
  data?: boolean;
  dryRun?: boolean;
  yes?: boolean;
}

/** `jogakbo remove service`. Changes nothing if another project needs the service, or without a confirmation. */
export async function removeService(name: string, { data, dryRun, yes }: RemoveOptions): Promise<number> {
  const state = openState();
  const folders = [`apps/${name}`, `libs/contracts/${name}`].filter((path) => existsSync(join(root, path)));
  assertKnown(state, name, data);
  if (folders.length > 0) await assertRemovable(name);
  assertStoreIsPrepared(state, name, data);
  for (const line of await describeRemoval(state, name, folders, data)) console.log(toPrintable(line));
  if (dryRun) {
    console.log('\nNothing was changed: --dry-run was given.');
    return 0;
  }
  const question = data ? `Remove ${name} and delete its data for good?` : `Remove ${name}?`;
  if (!(await confirm(question, yes))) {
    console.log('Nothing was changed.');
    return 1;
  }
  await runRemoval(state, name, folders, data);
  console.log(`${name} was removed.`);
  return 0;
}

async function runRemoval(
  state: StateFolder,
  name: string,
  folders: string[],
  data: boolean | undefined,
): Promise<void> {
  const store = isRunning(state, name) ? await ControlClient.open(state) : undefined;
  try {
    // Until the end, so that no other command serves or deploys it.
    await store?.reserve(name);
    if (folders.length > 0) await removeFolders(folders);
    await store?.retire(name);
    if (data) for (const line of await deleteServiceData(state, name)) console.log(line);
  } finally {
    store?.close();
  }
}

/** Whether the running store has processes of the service. */
const isRunning = (state: StateFolder, name: string): boolean =>
  findRunningStore(state)?.services.some((service) => service.name === name) === true;

/** A service that was removed before can still run, or have data. */
function assertKnown(state: StateFolder, name: string, data: boolean | undefined): void {
  const names = listApps().map((app) => app.name);
  if (names.includes(name) || isRunning(state, name) || (data && hasServiceData(state, name))) return;
  throw new UsageError(`There is no service called ${name}.`, {
    remedies: [`the services are: ${names.join(', ')}`],
  });
}

async function assertRemovable(name: string): Promise<void> {
  const manifest = JSON.parse(readFileSync(join(root, 'apps', name, 'package.json'), 'utf8')) as {
    nx?: { tags?: string[] };
  };
  if (manifest.nx?.tags?.includes('scope:platform'))
    throw new CliError(`${name} is a part of the platform: all services need it.`);
  const dependants = await findDependants(root, name);
  if (dependants.length === 0) return;
  throw new CliError(`${name} cannot be removed: other projects need it.`, {
    details: dependants.map(({ folder, uses }) => `${folder} ${uses.join(', ')}`),
    remedies: ['change these projects first'],
  });
}

/** @throws CliError if the running store cannot end the service, or if no store runs whose data can be deleted */
function assertStoreIsPrepared(state: StateFolder, name: string, data: boolean | undefined): void {
  const run = findRunningStore(state);
  if (data && !run)
    throw new CliError('The data cannot be deleted while the store is stopped.', {
      remedies: ['start it:  npm start', `or keep the data:  npx jogakbo remove service ${name}`],
    });
  if (run?.served?.some((served) => served.name === name))
    throw new CliError(`jogakbo serve runs ${name}.`, { remedies: ['end it with Ctrl-C first'] });
  if (!run || !isRunning(state, name)) return;
  if (run.dense)
    throw new CliError(`The running store runs ${name} in the one process of all services.`, {
      remedies: ['stop the store first:  npm stop'],
    });
  if (run.phase !== 'ready')
    throw new CliError('The store is starting or stopping.', { remedies: ['wait for it:  npx jogakbo ps'] });
}

async function describeRemoval(
  state: StateFolder,
  name: string,
  folders: readonly string[],
  data: boolean | undefined,
): Promise<string[]> {
  const uncommitted = listUncommitted(folders);
  const routes = await listReadyRoutes(name);
  const isKept = !data && hasServiceData(state, name);
  return [
    ...folders.map((folder) => `removes ${folder} (${countFiles(folder)} files)`),
    ...(folders.length > 0
      ? ['updates package-lock.json, docker-compose.yml, docs and deploy/kubernetes']
      : []),
    ...(uncommitted.length > 0
      ? [
          `${uncommitted.length} of these files are in no commit and cannot be restored:`,
          ...uncommitted.slice(0, 10).map((path) => `  ${path}`),
        ]
      : []),
    ...(isRunning(state, name) ? ['ends its processes in the running store'] : []),
    ...routes.map((route) => `jogakbo.config.ts lists its route ${route}: remove it there`),
    ...(data ? ['deletes its data:', ...describeServiceData(name).map((line) => `  ${line}`)] : []),
    ...(isKept
      ? [
          'keeps its data in the store of this workspace:',
          ...describeServiceData(name).map((line) => `  ${line}`),
          `  delete it later, while the store runs:  npx jogakbo remove service ${name} --data`,
        ]
      : []),
    ...(folders.length > 0
      ? [
          `Other environments keep the service and its data. Delete there what is left: the deployment, the database and its role,`,
          `the queues and the login at the broker, the secrets (${name.toUpperCase()}_… in .env).`,
        ]
      : []),
  ];
}

const isSource = (path: string): boolean => !/(^|\/)(node_modules|dist)(\/|$)/.test(path);

const countFiles = (folder: string): number =>
  globSync(`${folder}/**/*`, { cwd: root, withFileTypes: true }).filter(
    (one) => one.isFile() && isSource(join(one.parentPath, one.name).slice(root.length)),
  ).length;

/** Files that Git cannot restore; none outside of a repository. */
function listUncommitted(folders: readonly string[]): string[] {
  if (folders.length === 0) return [];
  const { stdout, status } = spawnSync(
    'git',
    ['status', '--porcelain', '--untracked-files=all', '--', ...folders],
    { cwd: root, encoding: 'utf8' },
  );
  return status === 0 ? stdout.split('\n').flatMap((line) => (line ? [line.slice(3)] : [])) : [];
}

/** The routes of the service that `jogakbo.config.ts` waits for. */
async function listReadyRoutes(name: string): Promise<string[]> {
  const { readyRoutes } = await readWorkspaceConfig(root);
  const contracts = await loadContracts(root, name).catch(() => []);
  const own = contracts.flatMap(({ contract }) => ('http' in contract ? (contract.http?.route ?? []) : []));
  return readyRoutes.filter((route) => (own as string[]).includes(route));
}

async function removeFolders(folders: readonly string[]): Promise<void> {
  uninstallProjects(root, folders);
  for (const folder of folders) rmSync(join(root, folder), { recursive: true });
  const failed = await writeDerivedFiles(root);
  if (failed.length > 0)
    console.error(
      toPrintableLines(['These could not be derived from the remaining services:', ...failed].join('\n')),
    );
}
