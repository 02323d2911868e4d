import { spawn, spawnSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import pg from 'pg';
import { administratorLogin, type BackingService } from '../backing-service.ts';
import { getLostName, hasOtherPassword, recordPassword } from '../data-password.ts';
import { CliError, toMessage } from '../../terminal/cli-error.ts';
import {
  canReach,
  findPackagedPostgres,
  findPostgresUser,
  type PostgresUser,
  stageBinaries,
  openStagingFolder,
} from './postgres-binaries.ts';
import { buildTlsSettings, writeTlsFiles } from './postgres-tls.ts';
import {
  readCommand,
  end,
  isAlive,
  identifyProcess,
  type ProcessIdentity,
  signal,
} from '../../supervisor/processes.ts';
import { withCertificate } from '../tls/store-tls.ts';

export interface DatabaseConfiguration {
  /** The data folder, unless the PostgreSQL user has no access to it. */
  folder: string;
  logs: string;
  id: string;
  password: string;
  port: number;
  /** Folder of the certificates. If set, every client needs a certificate. */
  tls?: string;
  /** A throw-away server runs without fsync: faster, but not crash-safe. */
  throwaway: boolean;
}

function buildSettings({ port, tls, throwaway }: DatabaseConfiguration, data: string): string[] {
  const values = {
    ...(tls ? buildTlsSettings(data) : {}),
    listen_addresses: '127.0.0.1',
    port,
    unix_socket_directories: '',
    shared_buffers: '32MB',
    max_connections: 150,
    max_wal_size: '256MB',
    jit: 'off',
    huge_pages: 'off',
    io_method: 'sync',
    wal_level: 'minimal',
    max_wal_senders: 0,
    max_worker_processes: 2,
    max_parallel_workers: 0,
    max_parallel_workers_per_gather: 0,
    max_logical_replication_workers: 0,
    autovacuum_max_workers: 1,
    password_encryption: 'scram-sha-256',
    log_line_prefix: '%m [%p] %u@%d ',
    fsync: throwaway ? 'off' : 'on',
    synchronous_commit: throwaway ? 'off' : 'on',
    full_page_writes: throwaway ? 'off' : 'on',
  };
  return Object.entries(values).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
}

/** Finds the running server of a killed supervisor on this data folder, and its port. */
export function findRunningPostgres(data: string): { identity: ProcessIdentity; port: number } | undefined {
  try {
    const lines = readFileSync(join(data, 'postmaster.pid'), 'utf8').split('\n');
    const identity = identifyProcess(Number(lines[0]));
    return identity && readCommand(identity.pid).includes(data)
      ? { identity, port: Number(lines[3]) }
      : undefined;
  } catch {
    return undefined;
  }
}

async function probeLogin(url: string): Promise<Error | undefined> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 2_000 });
  client.on('error', () => undefined);
  try {
    await client.connect();
    return undefined;
  } catch (error) {
    return error as Error;
  } finally {
    await client.end().catch(() => undefined);
  }
}

/** The folders of binaries and data, accessible for the PostgreSQL user. */
export function resolvePostgresPaths(place: Pick<DatabaseConfiguration, 'folder' | 'id'>): {
  native: string;
  data: string;
  staged?: string;
  user?: PostgresUser;
} {
  const user = findPostgresUser();
  const native = findPackagedPostgres();
  mkdirSync(dirname(place.folder), { recursive: true, mode: 0o711 });
  if (!user) return { native, data: place.folder };
  const reachesBinaries = canReach(join(native, 'bin', 'postgres'), user);
  const reachesData = canReach(dirname(place.folder), user);
  if (reachesBinaries && reachesData) return { native, data: place.folder, user };
  const staged = openStagingFolder(place.id, user);
  return {
    native: reachesBinaries ? native : stageBinaries(native, staged),
    data: reachesData ? place.folder : join(staged, 'data'),
    staged,
    user,
  };
}

/** Deletes the content of a folder. The folder itself may be a mount point. */
function emptyFolder(data: string): void {
  mkdirSync(data, { recursive: true, mode: 0o700 });
  for (const name of readdirSync(data)) rmSync(join(data, name), { recursive: true });
}

function initialise(native: string, data: string, place: DatabaseConfiguration, user?: PostgresUser): void {
  const passwordFile = `${data}.pw`;
  writeFileSync(passwordFile, place.password, { mode: 0o600 });
  if (user) for (const path of [data, passwordFile]) chownSync(path, user.uid, user.gid);
  const { status, stdout, stderr, error } = spawnSync(
    join(native, 'bin', 'initdb'),
    [
      '-D',
      data,
      '-U',
      administratorLogin,
      `--pwfile=${passwordFile}`,
      '--auth=scram-sha-256',
      '--encoding=UTF8',
      '--locale-provider=builtin',
      '--locale=C.UTF-8',
      '--no-instructions',
      ...(place.throwaway ? ['--no-sync'] : []),
    ],
    { ...user, cwd: '/', encoding: 'utf8', env: { PATH: process.env.PATH, LANG: 'C.UTF-8', TZ: 'UTC' } },
  );
  rmSync(passwordFile, { force: true });
  if (status !== 0) {
    emptyFolder(data);
    const output = `${stdout ?? ''}${stderr ?? ''}${error ? toMessage(error) : ''}`;
    throw new CliError('The private PostgreSQL could not be initialized.', {
      details: output.trim().split('\n').slice(-8),
      remedies: [
        'use an external server:  DATABASE_URL=postgresql://admin:password@host:5432/postgres npm start',
      ],
    });
  }
}

/** Starts the private PostgreSQL of a place, or takes over the one that runs there. @throws CliError if it does not start */
export async function startPrivatePostgres(place: DatabaseConfiguration): Promise<BackingService> {
  const database = new PrivatePostgres(place);
  await database.open();
  return database;
}

class PrivatePostgres implements BackingService {
  readonly kind = 'process';
  readonly title: string;
  readonly url: string;
  readonly tls: string | undefined;
  readonly #place: DatabaseConfiguration;
  readonly #paths: ReturnType<typeof resolvePostgresPaths>;
  readonly #log: string;
  #server: ProcessIdentity | undefined;

  constructor(place: DatabaseConfiguration) {
    this.#paths = resolvePostgresPaths(place);
    const { data, staged } = this.#paths;
    const orphan = findRunningPostgres(data);
    this.#server = orphan?.identity;
    this.#place = orphan ? { ...place, port: orphan.port } : place;
    this.#log = join(place.logs, 'database.log');
    const address = `postgresql://${administratorLogin}:${place.password}@127.0.0.1:${this.#place.port}/postgres`;
    this.url = place.tls ? withCertificate(address, place.tls, administratorLogin) : address;
    this.tls = place.tls;
    const where = staged ? ` (in ${staged}, because its user has no access to the clone)` : '';
    this.title = `a private PostgreSQL${place.tls ? ' with TLS' : ''}${where}`;
  }

  roots(): ProcessIdentity[] {
    return this.#server ? [this.#server] : [];
  }

  isAlive(): boolean {
    return isAlive(this.#server);
  }

  async open(): Promise<void> {
    const { data, user } = this.#paths;
    if (this.#server && this.tls) {
      // SIGHUP reloads certificates and user name maps. A server without TLS fails the probe and is restarted below.
      writeTlsFiles(this.tls, data, user);
      signal(this.#server, 'SIGHUP');
    }
    if (this.#server && !(await probeLogin(this.url))) return recordPassword(data, this.#place.password);
    if (this.#server) await this.stop();
    await this.start();
  }

  async start(): Promise<void> {
    this.#prepareData();
    const until = Date.now() + 60_000;
    while (!(await this.#tryStart(until))) {
      // After a SIGKILL, backends of the previous server may hold its shared memory for a moment.
      const tail = readFileSync(this.#log, 'utf8').trimEnd().split('\n').slice(-8);
      const isTemporary = /still in use|is another postmaster/i.test(tail.join('\n'));
      await this.stop(true);
      if (!isTemporary || Date.now() > until) throw createStartError(this.#log, tail);
      await pause(500);
    }
    recordPassword(this.#paths.data, this.#place.password);
  }

  async stop(force = false): Promise<void> {
    const { throwaway } = this.#place;
    const by = force || throwaway ? 'SIGQUIT' : 'SIGINT';
    await end(this.#server, { by, timeoutMs: force ? 3_000 : 20_000 });
    const { staged } = this.#paths;
    if (staged && throwaway) rmSync(staged, { recursive: true, force: true });
  }

  /** Creates the data folder. One that belongs to a lost store, with an unknown password, is kept under another name. */
  #prepareData(): void {
    const { native, data, user } = this.#paths;
    const hasData = () => existsSync(join(data, 'PG_VERSION'));
    mkdirSync(this.#place.logs, { recursive: true, mode: 0o700 });
    if (hasData() && hasOtherPassword(data, this.#place.password)) renameSync(data, getLostName(data));
    if (!hasData()) {
      emptyFolder(data);
      initialise(native, data, this.#place, user);
    }
    if (this.tls) writeTlsFiles(this.tls, data, user);
  }

  /** @returns whether it accepts the login; false if it ended, rejects it for good, or the time is over */
  async #tryStart(until: number): Promise<boolean> {
    const { native, data, user } = this.#paths;
    const output = openSync(this.#log, 'a', 0o600);
    chmodSync(this.#log, 0o600);
    const args = ['-D', data, ...buildSettings(this.#place, data)];
    const child = spawn(join(native, 'bin', 'postgres'), args, {
      ...user,
      cwd: '/',
      detached: true,
      env: { PATH: process.env.PATH, LANG: 'C.UTF-8', TZ: 'UTC' },
      stdio: ['ignore', output, output],
    });
    closeSync(output);
    child.on('error', () => undefined);
    child.unref();
    this.#server = identifyProcess(child.pid);
    while (this.isAlive() && Date.now() < until) {
      const error = await probeLogin(this.url);
      if (!error) return true;
      if (['28P01', '28000'].includes((error as { code?: string }).code ?? '')) return false;
      await pause(40);
    }
    return false;
  }
}

const createStartError = (log: string, tail: string[]): CliError =>
  new CliError('The private PostgreSQL did not start.', {
    details: tail,
    remedies: [
      `read ${log}`,
      'or use an external server:  DATABASE_URL=postgresql://admin:password@host:5432/postgres npm start',
    ],
  });
