import { existsSync, readdirSync, statfsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { InstanceView } from '@jogakbo/contracts-registry';
import { type BrokerWay, findBrokerWays, assertExternalBroker } from '../backing/rabbitmq/broker.ts';
import { assertExternalDatabase } from '../backing/postgres/database.ts';
import { CliError, toMessage } from '../terminal/cli-error.ts';
import { quoteForShell } from '../terminal/printable.ts';
import { image } from '../backing/rabbitmq/docker-broker.ts';
import { findFreePort, findPortHolder, isFree } from './ports.ts';
import { readEnvironment } from './processes.ts';
import { findInstalledBroker } from '../backing/rabbitmq/private-broker.ts';
import { findMissingPackages } from './packages.ts';
import { findPackagedPostgres, findPostgresUser } from '../backing/postgres/postgres-binaries.ts';
import { hasRun, readRun, isSupervisorAlive } from './run-record.ts';
import { readConfigClients } from './config-secrets.ts';
import { readStaff } from './staff.ts';
import { hasSecrets, readSecrets, type StateFolder } from './state.ts';
import { findTlsExpiry, getTlsFolder, isTlsRequested, getTlsRemarks } from '../backing/tls/store-tls.ts';

export interface Check {
  name: string;
  ok: boolean;
  text: string;
  fixes: string[];
}

export const pass = (name: string, text: string): Check => ({ name, ok: true, text, fixes: [] });
const fail = (name: string, text: string, ...fixes: string[]): Check => ({ name, ok: false, text, fixes });
export const toFailedCheck = (name: string, error: unknown): Check =>
  fail(name, toMessage(error), ...(error instanceof CliError ? error.remedies : []));

const minFreeBytes = 2 * 1024 ** 3;

export function checkNode(version = process.versions.node): Check {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  return major > 24 || (major === 24 && minor >= 15)
    ? pass('Node', version)
    : fail(
        'Node',
        `${version} is too old to run the services`,
        'install Node 24.15 or newer, or run:  npm ci --include=optional',
      );
}

export function checkDisk(state: StateFolder): Check {
  const { bavail, bsize } = statfsSync(state.folder);
  const free = bavail * bsize;
  const text = `${(free / 1024 ** 3).toFixed(1)} GB free`;
  return free >= minFreeBytes
    ? pass('disk', text)
    : fail(
        'disk',
        `${text} for ${state.folder}; 2 GB are needed`,
        'free some space, or set JOGAKBO_HOME to a folder on a larger disk',
      );
}

/** `npm start` installs missing packages. Other commands, such as `nx serve`, do not. */
export function checkPackages(what: 'all' | 'needed', workspace?: string): Check {
  const missing = findMissingPackages(what, workspace);
  if (missing.length === 0) return pass('packages', 'match package-lock.json');
  const some =
    missing.slice(0, 5).join(', ') + (missing.length > 5 ? `, and ${missing.length - 5} more` : '');
  return fail('packages', `${some}: missing, or not in the version of package-lock.json`, 'npm ci');
}

/** Checks files that must be readable and are not recreated if invalid. */
export function checkSecrets(state: StateFolder): Check {
  try {
    for (const read of [readSecrets, readStaff, readConfigClients]) read(state);
    return pass('secrets', hasSecrets(state) ? 'readable' : 'created by the first start');
  } catch (error) {
    return toFailedCheck('secrets', error);
  }
}

/** Both servers refuse data folders of another owner. */
export function checkDataFolders(state: StateFolder, user = findPostgresUser(), env = process.env): Check {
  const self = process.getuid?.();
  const owners = [
    ...(env.DATABASE_URL
      ? []
      : [{ folder: join(state.folder, 'postgres'), owner: user?.uid ?? self, server: 'PostgreSQL' }]),
    // root can write to every folder.
    ...(self === 0 || env.RABBITMQ_URL
      ? []
      : [{ folder: join(state.folder, 'rabbitmq'), owner: self, server: 'RabbitMQ' }]),
  ];
  for (const { folder, owner, server } of owners) {
    const found = statSync(folder, { throwIfNoEntry: false })?.uid;
    if (found === undefined || owner === undefined || found === owner || isEmpty(folder)) continue;
    return fail(
      'data folders',
      `${folder} belongs to user ${found}, but ${server} runs as user ${owner}`,
      `change its owner:  sudo chown -R ${owner} ${quoteForShell(folder)}`,
    );
  }
  return pass('data folders', 'have the right owner');
}

/** The first start changes the owner of an empty folder, such as a mount point. An unreadable folder counts as not empty. */
function isEmpty(folder: string): boolean {
  try {
    return readdirSync(folder).length === 0;
  } catch {
    return false;
  }
}

/** Reports a killed supervisor. The next start takes over from it. */
export function checkSupervisor(state: StateFolder): Check {
  const run = readRun(state);
  if (!run && hasRun(state))
    return fail('store', `${state.folder}/run.json cannot be read`, 'end the remaining processes:  npm stop');
  if (!run) return pass('store', 'not running');
  if (isSupervisorAlive(run)) return pass('store', `${run.phase} at ${run.publicUrl}`);
  return fail(
    'store',
    `its supervisor (process ${run.supervisor.pid}) was killed`,
    'start it again:  npm start',
    'or end its remaining processes:  npm stop',
  );
}

/** Gets the rejected routes from the registry of the running store. Undefined if it does not respond. */
export async function checkRoutes(state: StateFolder): Promise<Check | undefined> {
  const run = readRun(state);
  const url = run && isSupervisorAlive(run) && run.services.find(({ name }) => name === 'registry')?.url;
  if (!url) return undefined;
  try {
    const response = await fetch(`${url}/instances`, { signal: AbortSignal.timeout(2_000) });
    const refused = ((await response.json()) as InstanceView[]).flatMap(({ instance, refusedRoutes = [] }) =>
      refusedRoutes.map(({ route, holder }) => `${instance} ${route} (${holder ?? 'not registered'})`),
    );
    if (refused.length === 0) return pass('routes', 'none rejected');
    return fail(
      'routes',
      `rejected: ${refused.join(', ')}`,
      'if the routes have changed, register them:  npx jogakbo logins',
    );
  } catch {
    return undefined;
  }
}

/** Finds the store of a service process, or of the process of dense mode: its state folder and workspace. */
function findStore(pid: number): { folder: string; workspace: string } | undefined {
  const folder = readEnvironment(pid, 'JOGAKBO_HOME');
  if (!folder) return undefined;
  const run = readRun({ folder });
  const isOurs = [...(run?.services ?? []), ...(run?.served ?? [])].some(
    ({ process }) => process?.pid === pid,
  );
  return run && isOurs ? { folder, workspace: run.workspace } : undefined;
}

const getStopCommand = ({ folder, workspace }: { folder: string; workspace: string }): string =>
  `cd ${quoteForShell(workspace)} && ${folder === join(workspace, '.jogakbo') ? '' : `JOGAKBO_HOME=${quoteForShell(folder)} `}npm stop`;

async function findNextFreePort(port: number): Promise<number> {
  for (let next = port + 1; next < 65_536; next += 1) if (await isFree(next)) return next;
  return findFreePort();
}

export async function checkPort(port: number, state: StateFolder): Promise<Check> {
  if (await isFree(port)) return pass('port', `${port} is free`);
  const run = readRun(state);
  if (run && isSupervisorAlive(run) && run.port === port) return pass('port', `${port} is this store's own`);
  const holder = findPortHolder(port);
  const other = holder && findStore(holder.pid);
  const another = `or use another port, which this store then keeps:  PORT=${await findNextFreePort(port)} npm start`;
  if (other) {
    return fail(
      'port',
      `Port ${port} is in use by another store: the one in ${other.folder}.`,
      `stop that store:  ${getStopCommand(other)}`,
      another,
    );
  }
  const by = holder ? `process ${holder.pid} (${holder.command.slice(0, 90)})` : 'another process';
  return fail(
    'port',
    `Port ${port} is in use by ${by}.`,
    ...(holder ? [`end it:  kill ${holder.pid}`] : []),
    another,
  );
}

const wayTexts: Record<BrokerWay, () => string> = {
  external: () => 'RABBITMQ_URL can be used',
  container: () => `Docker is running: a start would use ${image}`,
  process: () => `a start would use ${findInstalledBroker()}`,
  install: () => 'the first start would install it with apt-get',
};

export async function checkBroker(state: StateFolder): Promise<Check> {
  try {
    const run = readRun(state);
    if (!process.env.RABBITMQ_URL && run?.broker && isSupervisorAlive(run)) {
      return pass('broker', `${run.broker.title} is running`);
    }
    const [way] = await findBrokerWays();
    if (way === 'external') await assertExternalBroker(process.env.RABBITMQ_URL!);
    if (way) return pass('broker', wayTexts[way]());
    return fail(
      'broker',
      'RabbitMQ and Docker are missing, and RabbitMQ cannot be installed automatically',
      'install RabbitMQ or start Docker, or set RABBITMQ_URL',
    );
  } catch (error) {
    return toFailedCheck('broker', error);
  }
}

export async function checkDatabase(): Promise<Check> {
  try {
    if (process.env.DATABASE_URL) {
      await assertExternalDatabase(process.env.DATABASE_URL);
      return pass('database', 'DATABASE_URL can be used');
    }
    const native = findPackagedPostgres();
    if (!existsSync(`${native}/bin/postgres`)) {
      return fail(
        'database',
        'the PostgreSQL installed by npm is incomplete',
        'install it again:  npm ci --include=optional',
      );
    }
    return pass('database', 'a private PostgreSQL 18, installed by npm');
  } catch (error) {
    return toFailedCheck('database', error);
  }
}

/** Undefined if TLS is neither in use nor requested. */
export function checkTls(state: StateFolder, now = Date.now()): Check | undefined {
  try {
    const run = readRun(state);
    const runs = run && isSupervisorAlive(run) ? [run.broker, run.database] : undefined;
    const folder = runs?.find((backing) => backing?.tls)?.tls;
    if (folder) {
      const end = findTlsExpiry(folder)?.getTime() ?? 0;
      const until = new Date(end).toISOString().slice(0, 10);
      return end > now
        ? pass('TLS', `on, with certificates of ${folder}, valid until ${until}`)
        : fail(
            'TLS',
            `the certificates of ${folder} have expired`,
            'restart the store:  npm run stop; npm start',
          );
    }
    if (!isTlsRequested()) return undefined;
    const [remark] = getTlsRemarks();
    if (runs) return pass('TLS', 'off in the running store; JOGAKBO_TLS applies at its next start');
    return pass('TLS', remark ?? `the next start creates or renews certificates in ${getTlsFolder(state)}`);
  } catch (error) {
    return toFailedCheck('TLS', error);
  }
}

/** @throws CliError with all failed checks */
export function refuseIfFailed(checks: Check[]): void {
  const faults = checks.filter(({ ok }) => !ok);
  if (faults.length === 0) return;
  const [first] = faults;
  throw new CliError(faults.length === 1 ? first!.text : 'The store cannot start here.', {
    details: faults.length === 1 ? [] : faults.map(({ text }) => text),
    remedies: faults.flatMap(({ fixes }) => fixes),
  });
}
