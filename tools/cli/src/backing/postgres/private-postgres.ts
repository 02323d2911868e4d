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
import { type BackingService } from '../backing-service.ts';
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
import { readCommand, end, isAlive, readMark, type ProcessMark, signal } from '../../supervisor/processes.ts';
import { operator, withCertificate } from '../tls/store-tls.ts';

export interface DatabasePlace {
  /** The data folder, unless the PostgreSQL user has no access to it. */
  folder: string;
  logs: string;
  id: string;
  password: string;
  /** False if the password is new: existing data then belongs to a store whose password is lost. */
  passwordIsKept: boolean;
  port: number;
  /** Folder of the certificates. If set, every client needs a certificate. */
  tls?: string;
  /** A throw-away server runs without fsync: faster, but not crash-safe. */
  throwaway: boolean;
}

const superuser = operator;

function buildSettings({ port, tls, throwaway }: DatabasePlace, data: string): string[] {
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
export function findRunningPostgres(data: string): { mark: ProcessMark; port: number } | undefined {
  try {
    const lines = readFileSync(join(data, 'postmaster.pid'), 'utf8').split('\n');
    const mark = readMark(Number(lines[0]));
    return mark && readCommand(mark.pid).includes(data) ? { mark, port: Number(lines[3]) } : undefined;
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
export function resolvePostgresPaths(place: Pick<DatabasePlace, 'folder' | 'id'>): {
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

function initialise(native: string, data: string, place: DatabasePlace, user?: PostgresUser): void {
  const passwordFile = `${data}.pw`;
  writeFileSync(passwordFile, place.password, { mode: 0o600 });
  if (user) for (const path of [data, passwordFile]) chownSync(path, user.uid, user.gid);
  const { status, stdout, stderr, error } = spawnSync(
    join(native, 'bin', 'initdb'),
    [
      '-D',
      data,
      '-U',
      superuser,
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
        'use your own server:  DATABASE_URL=postgresql://admin:password@host:5432/postgres npm start',
      ],
    });
  }
}

export async function startPrivatePostgres(place: DatabasePlace): Promise<BackingService> {
  const { native, data, staged, user } = resolvePostgresPaths(place);
  const log = join(place.logs, 'database.log');
  const orphan = findRunningPostgres(data);
  const at = orphan ? { ...place, port: orphan.port } : place;
  const address = `postgresql://${superuser}:${place.password}@127.0.0.1:${at.port}/postgres`;
  const url = place.tls ? withCertificate(address, place.tls, superuser) : address;
  let server: ProcessMark | undefined = orphan?.mark;
  let isOwnData = place.passwordIsKept;

  const stop = async (force = false): Promise<void> => {
    await end(server, {
      by: force || place.throwaway ? 'SIGQUIT' : 'SIGINT',
      timeoutMs: force ? 3_000 : 20_000,
    });
    if (staged && place.throwaway) rmSync(staged, { recursive: true, force: true });
  };

  async function start(): Promise<void> {
    mkdirSync(place.logs, { recursive: true, mode: 0o700 });
    if (existsSync(join(data, 'PG_VERSION')) && !isOwnData) {
      renameSync(data, `${data}-of-a-lost-store-${Date.now()}`);
    }
    if (!existsSync(join(data, 'PG_VERSION'))) {
      emptyFolder(data);
      initialise(native, data, place, user);
    }
    isOwnData = true;
    if (place.tls) writeTlsFiles(place.tls, data, user);
    const until = Date.now() + 60_000;
    for (;;) {
      const output = openSync(log, 'a', 0o600);
      chmodSync(log, 0o600);
      const child = spawn(join(native, 'bin', 'postgres'), ['-D', data, ...buildSettings(at, data)], {
        ...user,
        cwd: '/',
        detached: true,
        env: { PATH: process.env.PATH, LANG: 'C.UTF-8', TZ: 'UTC' },
        stdio: ['ignore', output, output],
      });
      closeSync(output);
      child.on('error', () => undefined);
      child.unref();
      server = readMark(child.pid);
      while (isAlive(server) && Date.now() < until) {
        const fault = await probeLogin(url);
        if (!fault) return;
        if (['28P01', '28000'].includes((fault as { code?: string }).code ?? '')) break;
        await pause(40);
      }
      // After a SIGKILL, backends of the previous server may hold its shared memory for a moment.
      const tail = readFileSync(log, 'utf8').trimEnd().split('\n').slice(-8);
      const isTemporary = /still in use|is another postmaster/i.test(tail.join('\n'));
      await stop(true);
      if (!isTemporary || Date.now() > until) {
        throw new CliError('The private PostgreSQL did not start.', {
          details: tail,
          remedies: [
            `read ${log}`,
            'or use your own server:  DATABASE_URL=postgresql://admin:password@host:5432/postgres npm start',
          ],
        });
      }
      await pause(500);
    }
  }

  if (server && place.tls) {
    // SIGHUP reloads certificates and user name maps. A server without TLS fails the probe and is restarted below.
    writeTlsFiles(place.tls, data, user);
    signal(server, 'SIGHUP');
  }
  if (!server || (await probeLogin(url))) {
    if (server) await stop();
    await start();
  }
  return {
    kind: 'private',
    title: `a private PostgreSQL${place.tls ? ' with TLS' : ''}${staged ? ` (in ${staged}, because its user has no access to the clone)` : ''}`,
    url,
    tls: place.tls,
    roots: () => (server ? [server] : []),
    isAlive: () => isAlive(server),
    restart: start,
    stop,
  };
}
