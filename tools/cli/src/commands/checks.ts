import { existsSync, readdirSync, statfsSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { InstanceView } from '@jogakbo/contracts-registry';
import { type BrokerWay, brokerWays, checkGivenBroker } from '../backing/rabbitmq/broker.ts';
import { checkGivenDatabase } from '../backing/postgres/database.ts';
import { CliError, toMessage } from '../terminal/cli-error.ts';
import { image } from '../backing/rabbitmq/docker-broker.ts';
import { freePort, findPortHolder, isFree } from '../supervisor/ports.ts';
import { readEnvironment, readFolder } from '../supervisor/processes.ts';
import { findInstalledBroker } from '../backing/rabbitmq/private-broker.ts';
import { missingPackages } from '../supervisor/packages.ts';
import { packagedPostgres, postgresUser } from '../backing/postgres/postgres-binaries.ts';
import { hasRun, readRun, supervisorLives } from '../supervisor/run-record.ts';
import { readConfigClients } from '../supervisor/config-secrets.ts';
import { readStaff } from '../supervisor/staff.ts';
import { hasSecrets, readSecrets, type State } from '../supervisor/state.ts';
import { endOfTls, getTlsFolder, tlsIsWanted, tlsRemarks } from '../backing/tls/store-tls.ts';

export interface Check {
  name: string;
  ok: boolean;
  text: string;
  fixes: string[];
}

export const passed = (name: string, text: string): Check => ({ name, ok: true, text, fixes: [] });
const failed = (name: string, text: string, ...fixes: string[]): Check => ({ name, ok: false, text, fixes });
const ofFault = (name: string, error: unknown): Check =>
  failed(name, toMessage(error), ...(error instanceof CliError ? error.remedies : []));

const enough = 2 * 1024 ** 3;

export function checkNode(version = process.versions.node): Check {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  return major > 24 || (major === 24 && minor >= 15)
    ? passed('Node', version)
    : failed(
        'Node',
        `${version} is too old to run the services`,
        'install Node 24.15 or newer, or run:  npm ci --include=optional',
      );
}

export function checkDisk(state: State): Check {
  const { bavail, bsize } = statfsSync(state.folder);
  const free = bavail * bsize;
  const text = `${(free / 1024 ** 3).toFixed(1)} GB free`;
  return free >= enough
    ? passed('disk', text)
    : failed(
        'disk',
        `${text} for ${state.folder}; 2 GB are needed`,
        'free some space, or set JOGAKBO_HOME to a folder on a larger disk',
      );
}

/** `npm start` installs what is missing; whatever runs without it, such as `nx serve`, does not. */
export function checkPackages(what: 'all' | 'needed', workspace?: string): Check {
  const missing = missingPackages(what, workspace);
  if (missing.length === 0) return passed('packages', 'as package-lock.json says');
  const some =
    missing.slice(0, 5).join(', ') + (missing.length > 5 ? `, and ${missing.length - 5} more` : '');
  return failed('packages', `${some}: not installed as package-lock.json says`, 'npm ci');
}

/** Everything that must be read, and is not made anew when it is broken. */
export function checkSecrets(state: State): Check {
  try {
    for (const read of [readSecrets, readStaff, readConfigClients]) read(state);
    return passed('secrets', hasSecrets(state) ? 'can be read' : 'the first start makes them');
  } catch (error) {
    return ofFault('secrets', error);
  }
}

/** Both servers refuse to work in a folder of another user. */
export function checkDataFolders(state: State, user = postgresUser(), env = process.env): Check {
  const self = process.getuid?.();
  const owners = [
    ...(env.DATABASE_URL
      ? []
      : [{ folder: join(state.folder, 'postgres'), owner: user?.uid ?? self, server: 'PostgreSQL' }]),
    // The administrator may write to every folder.
    ...(self === 0 || env.RABBITMQ_URL
      ? []
      : [{ folder: join(state.folder, 'rabbitmq'), owner: self, server: 'RabbitMQ' }]),
  ];
  for (const { folder, owner, server } of owners) {
    const found = statSync(folder, { throwIfNoEntry: false })?.uid;
    if (found === undefined || owner === undefined || found === owner || isEmpty(folder)) continue;
    return failed(
      'data folders',
      `${folder} belongs to user ${found}, and ${server} runs as user ${owner}`,
      `give it to that user:  sudo chown -R ${owner} ${folder}`,
    );
  }
  return passed('data folders', 'belong to those who use them');
}

/** The first start gives an empty folder, such as a mounted disk, to its server. One that cannot be read is not empty. */
function isEmpty(folder: string): boolean {
  try {
    return readdirSync(folder).length === 0;
  } catch {
    return false;
  }
}

/** A start takes over from a supervisor that was killed; until then its services are gone. */
export function checkSupervisor(state: State): Check {
  const run = readRun(state);
  if (!run && hasRun(state))
    return failed('store', `${state.folder}/run.json cannot be read`, 'end what is left:  npm stop');
  if (!run) return passed('store', 'does not run');
  if (supervisorLives(run)) return passed('store', `${run.state} at ${run.publicUrl}`);
  return failed(
    'store',
    `its supervisor (process ${run.supervisor.pid}) was killed`,
    'start it again:  npm start',
    'or end what is left of it:  npm stop',
  );
}

/** Asks the registry of the running store which routes are announced and refused. Undefined where it does not answer. */
export async function checkRoutes(state: State): Promise<Check | undefined> {
  const run = readRun(state);
  const url = run && supervisorLives(run) && run.services.find(({ name }) => name === 'registry')?.url;
  if (!url) return undefined;
  try {
    const response = await fetch(`${url}/instances`, { signal: AbortSignal.timeout(2_000) });
    const refused = ((await response.json()) as InstanceView[]).flatMap(({ instance, refusedRoutes = [] }) =>
      refusedRoutes.map(({ route, holder }) => `${instance} ${route} (${holder ?? 'not registered'})`),
    );
    if (refused.length === 0) return passed('routes', 'none is refused');
    return failed(
      'routes',
      `refused: ${refused.join(', ')}`,
      'after a change of routes:  npx jogakbo logins',
    );
  } catch {
    return undefined;
  }
}

/** The store that a process belongs to as one of its services: its folder, and the workspace that it runs from. */
function findStore(pid: number): { folder: string; workspace: string } | undefined {
  const cache = readEnvironment(pid, 'CONFIG_CACHE');
  const workspace = cache && readFolder(pid);
  if (!cache || !workspace) return undefined;
  const folder = dirname(cache);
  const run = readRun({ folder });
  const isOurs = [...(run?.services ?? []), ...(run?.served ?? [])].some(
    ({ process }) => process?.pid === pid,
  );
  return isOurs ? { folder, workspace } : undefined;
}

const stopCommand = ({ folder, workspace }: { folder: string; workspace: string }): string =>
  `cd ${workspace} && ${folder === join(workspace, '.jogakbo') ? '' : `JOGAKBO_HOME=${folder} `}npm stop`;

async function nextFreePort(port: number): Promise<number> {
  for (let next = port + 1; next < 65_536; next += 1) if (await isFree(next)) return next;
  return freePort();
}

export async function checkPort(port: number, state: State): Promise<Check> {
  if (await isFree(port)) return passed('port', `${port} is free`);
  const run = readRun(state);
  if (run && supervisorLives(run) && run.port === port) return passed('port', `${port} is this store's own`);
  const holder = findPortHolder(port);
  const other = holder && findStore(holder.pid);
  const another = `or use another port, which this store keeps from then on:  PORT=${await nextFreePort(port)} npm start`;
  if (other) {
    return failed(
      'port',
      `Port ${port} is in use by another store: the one in ${other.folder}.`,
      `end that one:  ${stopCommand(other)}`,
      another,
    );
  }
  const by = holder ? `process ${holder.pid} (${holder.command.slice(0, 90)})` : 'another process';
  return failed(
    'port',
    `Port ${port} is in use by ${by}.`,
    ...(holder ? [`end it:  kill ${holder.pid}`] : []),
    another,
  );
}

const describe: Record<BrokerWay, () => string> = {
  given: () => 'RABBITMQ_URL answers',
  docker: () => `Docker runs: it would start ${image}`,
  installed: () => `a private instance of ${findInstalledBroker()}`,
  install: () => 'would be installed with apt-get at the first start',
};

export async function checkBroker(state: State): Promise<Check> {
  try {
    const run = readRun(state);
    if (!process.env.RABBITMQ_URL && run?.broker && supervisorLives(run)) {
      return passed('broker', `${run.broker.title} is running`);
    }
    const [way] = await brokerWays();
    if (way === 'given') await checkGivenBroker(process.env.RABBITMQ_URL!);
    if (way) return passed('broker', describe[way]());
    return failed(
      'broker',
      'no RabbitMQ, no Docker, and none can be installed from here',
      'install RabbitMQ or start Docker, or set RABBITMQ_URL',
    );
  } catch (error) {
    return ofFault('broker', error);
  }
}

export async function checkDatabase(): Promise<Check> {
  try {
    if (process.env.DATABASE_URL) {
      await checkGivenDatabase(process.env.DATABASE_URL);
      return passed('database', 'DATABASE_URL answers');
    }
    const native = packagedPostgres();
    if (!existsSync(`${native}/bin/postgres`)) {
      return failed(
        'database',
        'the PostgreSQL of npm is incomplete',
        'install it again:  npm ci --include=optional',
      );
    }
    return passed('database', 'a private PostgreSQL 18 that came with npm');
  } catch (error) {
    return ofFault('database', error);
  }
}

/** Undefined where the store has nothing to do with TLS. */
export function checkTls(state: State, now = Date.now()): Check | undefined {
  try {
    const run = readRun(state);
    const runs = run && supervisorLives(run) ? [run.broker, run.database] : undefined;
    const folder = runs?.find((backing) => backing?.tls)?.tls;
    if (folder) {
      const end = endOfTls(folder)?.getTime() ?? 0;
      const until = new Date(end).toISOString().slice(0, 10);
      return end > now
        ? passed('TLS', `on, with certificates of ${folder} that are good until ${until}`)
        : failed(
            'TLS',
            `the certificates of ${folder} are out of date`,
            'start the store again:  npm run stop; npm start',
          );
    }
    if (!tlsIsWanted()) return undefined;
    const [remark] = tlsRemarks();
    if (runs) return passed('TLS', 'off in the store that runs; JOGAKBO_TLS counts at its next start');
    return passed(
      'TLS',
      remark ?? `the next start makes certificates in ${getTlsFolder(state)}, or renews them`,
    );
  } catch (error) {
    return ofFault('TLS', error);
  }
}

/** All that is wrong, as one screen. */
export function refuseIfFailed(checks: Check[]): void {
  const faults = checks.filter(({ ok }) => !ok);
  if (faults.length === 0) return;
  const [first] = faults;
  throw new CliError(faults.length === 1 ? first!.text : 'The store cannot start here.', {
    details: faults.length === 1 ? [] : faults.map(({ text }) => text),
    remedies: faults.flatMap(({ fixes }) => fixes),
  });
}
