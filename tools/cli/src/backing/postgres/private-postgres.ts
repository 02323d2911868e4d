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
  packagedPostgres,
  postgresUser,
  type PostgresUser,
  stageBinaries,
  stagingFolder,
} from './postgres-binaries.ts';
import { tlsSettings, writeTlsFiles } from './postgres-tls.ts';
import { readCommand, end, isAlive, readMark, type ProcessMark, signal } from '../../supervisor/processes.ts';
import { operator, withCertificate } from '../tls/store-tls.ts';

export interface DatabasePlace {
  /** Where the data goes, unless the user that PostgreSQL runs as cannot reach it. */
  folder: string;
  logs: string;
  id: string;
  password: string;
  /** False when no store of this folder ever knew the password: data found there is of a store that is gone. */
  passwordIsKept: boolean;
  port: number;
  /** Folder of the certificates: with it, nobody comes in without one. */
  tls?: string;
  /** Data of a throw-away server may be lost with the machine, which makes it fast. */
  throwaway: boolean;
}

const superuser = operator;

function settings({ port, tls, throwaway }: DatabasePlace, data: string): string[] {
  const values = {
    ...(tls ? tlsSettings(data) : {}),
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

/** The server that a supervisor before us left running on this data, and the port it listens on. */
export function postgresLeftRunning(data: string): { mark: ProcessMark; port: number } | undefined {
  try {
    const lines = readFileSync(join(data, 'postmaster.pid'), 'utf8').split('\n');
    const mark = readMark(Number(lines[0]));
    return mark && readCommand(mark.pid).includes(data) ? { mark, port: Number(lines[3]) } : undefined;
  } catch {
    return undefined;
  }
}

async function faultOfLogin(url: string): Promise<Error | undefined> {
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

/** Where binaries and data live, given whom PostgreSQL runs as. */
export function layOut(place: Pick<DatabasePlace, 'folder' | 'id'>): {
  native: string;
  data: string;
  staged?: string;
  user?: PostgresUser;
} {
  const user = postgresUser();
  const native = packagedPostgres();
  mkdirSync(dirname(place.folder), { recursive: true, mode: 0o711 });
  if (!user) return { native, data: place.folder };
  const reachesBinaries = canReach(join(native, 'bin', 'postgres'), user);
  const reachesData = canReach(dirname(place.folder), user);
  if (reachesBinaries && reachesData) return { native, data: place.folder, user };
  const staged = stagingFolder(place.id, user);
  return {
    native: reachesBinaries ? native : stageBinaries(native, staged),
    data: reachesData ? place.folder : join(staged, 'data'),
    staged,
    user,
  };
}

/** The folder itself stays: it may be a volume of its own. */
function empty(data: string): void {
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
      ...['-D', data, '-U', superuser, `--pwfile=${passwordFile}`, '--auth=scram-sha-256'],
      ...['--encoding=UTF8', '--locale-provider=builtin', '--locale=C.UTF-8', '--no-instructions'],
      ...(place.throwaway ? ['--no-sync'] : []),
    ],
    { ...user, cwd: '/', encoding: 'utf8', env: { PATH: process.env.PATH, LANG: 'C.UTF-8', TZ: 'UTC' } },
  );
  rmSync(passwordFile, { force: true });
  if (status !== 0) {
    empty(data);
    const output = `${stdout ?? ''}${stderr ?? ''}${error ? toMessage(error) : ''}`;
    throw new CliError('The private PostgreSQL could not be set up.', {
      details: output.trim().split('\n').slice(-8),
      remedies: [
        'give a server of your own:  DATABASE_URL=postgresql://admin:password@host:5432/postgres npm start',
      ],
    });
  }
}

export async function startPrivatePostgres(place: DatabasePlace): Promise<BackingService> {
  const { native, data, staged, user } = layOut(place);
  const log = join(place.logs, 'database.log');
  const left = postgresLeftRunning(data);
  const at = left ? { ...place, port: left.port } : place;
  const address = `postgresql://${superuser}:${place.password}@127.0.0.1:${at.port}/postgres`;
  const url = place.tls ? withCertificate(address, place.tls, superuser) : address;
  let server: ProcessMark | undefined = left?.mark;
  let dataIsOurs = place.passwordIsKept;

  const stop = async (force = false): Promise<void> => {
    await end(server, {
      by: force || place.throwaway ? 'SIGQUIT' : 'SIGINT',
      patience: force ? 3_000 : 20_000,
    });
    if (staged && place.throwaway) rmSync(staged, { recursive: true, force: true });
  };

  async function start(): Promise<void> {
    mkdirSync(place.logs, { recursive: true, mode: 0o700 });
    if (existsSync(join(data, 'PG_VERSION')) && !dataIsOurs) {
      renameSync(data, `${data}-of-a-lost-store-${Date.now()}`);
    }
    if (!existsSync(join(data, 'PG_VERSION'))) {
      empty(data);
      initialise(native, data, place, user);
    }
    dataIsOurs = true;
    if (place.tls) writeTlsFiles(place.tls, data, user);
    const until = Date.now() + 60_000;
    for (;;) {
      const output = openSync(log, 'a', 0o600);
      chmodSync(log, 0o600);
      const child = spawn(join(native, 'bin', 'postgres'), ['-D', data, ...settings(at, data)], {
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
        const fault = await faultOfLogin(url);
        if (!fault) return;
        if (['28P01', '28000'].includes((fault as { code?: string }).code ?? '')) break;
        await pause(40);
      }
      // After a hard kill the backends of the last server may hold its memory for a moment.
      const tail = readFileSync(log, 'utf8').trimEnd().split('\n').slice(-8);
      const worthWaiting = /still in use|is another postmaster/i.test(tail.join('\n'));
      await stop(true);
      if (!worthWaiting || Date.now() > until) {
        throw new CliError('The private PostgreSQL did not start.', {
          details: tail,
          remedies: [
            `read ${log}`,
            'or give a server of your own:  DATABASE_URL=postgresql://admin:password@host:5432/postgres npm start',
          ],
        });
      }
      await pause(500);
    }
  }

  if (server && place.tls) {
    // It reads its certificates and who is who again; one that runs without TLS is stopped below.
    writeTlsFiles(place.tls, data, user);
    signal(server, 'SIGHUP');
  }
  if (!server || (await faultOfLogin(url))) {
    if (server) await stop();
    await start();
  }
  return {
    kind: 'private',
    title: `a private PostgreSQL${place.tls ? ' with TLS' : ''}${staged ? ` (in ${staged}, for its user cannot reach the clone)` : ''}`,
    url,
    tls: place.tls,
    roots: () => (server && isAlive(server) ? [server] : []),
    isAlive: () => isAlive(server),
    restart: start,
    stop,
  };
}
