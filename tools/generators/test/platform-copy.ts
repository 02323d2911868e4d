import { spawn } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, delimiter, dirname, join, relative } from 'node:path';
import { removeProjects, type LockFile } from '../src/lock-file.ts';

export const repository = join(import.meta.dirname, '..', '..', '..');

const generated = new Set(['node_modules', 'dist', '.nx', '.jogakbo', '.git', 'coverage']);

const readJson = <T>(path: string): T => JSON.parse(readFileSync(path, 'utf8')) as T;
export const readLock = (root: string): LockFile => readJson<LockFile>(join(root, 'package-lock.json'));

/** A workspace in a temporary folder: the platform of this one, with its installed packages, in a Git repository. */
export class PlatformCopy {
  readonly folder = mkdtempSync(join(tmpdir(), 'jogakbo-generators-'));
  readonly root = join(this.folder, 'workspace');
  /** The build cache of this workspace: the services are the same, so what it has built is not built again. */
  readonly buildCache = process.env['NX_CACHE_DIRECTORY'] ?? join(repository, '.nx/cache');

  constructor() {
    // If the tests run as root, PostgreSQL runs as another user.
    chmodSync(this.folder, 0o755);
    mkdirSync(this.root);
    const lock = readLock(repository);
    const folders = Object.values(lock.packages).flatMap(({ link, resolved }) =>
      link && resolved ? [resolved] : [],
    );
    const kept = folders.filter(isPlatform);
    for (const entry of readdirSync(repository))
      if (!generated.has(entry) && !['apps', 'libs', 'tools'].includes(entry)) this.#copy(entry);
    for (const project of kept) this.#copy(project);
    const reduced = removeProjects(
      lock,
      folders.filter((project) => !kept.includes(project)),
    );
    writeFileSync(join(this.root, 'package-lock.json'), `${JSON.stringify(reduced, null, 2)}\n`);
    linkPackages(this.root);
  }

  #copy(path: string): void {
    const filter = (from: string) => !generated.has(basename(from));
    cpSync(join(repository, path), join(this.root, path), { recursive: true, filter });
  }

  read(path: string): string {
    return readFileSync(join(this.root, path), 'utf8');
  }

  /** Runs a program in the workspace, with the workspace's own Node and without servers of the caller. */
  run(command: string, args: readonly string[], settings: NodeJS.ProcessEnv = {}): Promise<Outcome> {
    const { RABBITMQ_URL: _broker, DATABASE_URL: _database, TEST_FULL: _full, ...env } = process.env;
    const child = spawn(command, args, {
      cwd: this.root,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: {
        ...env,
        PATH: [dirname(process.execPath), env.PATH].join(delimiter),
        NO_COLOR: '1',
        NX_DAEMON: 'false',
        NX_TUI: 'false',
        NX_CACHE_DIRECTORY: this.buildCache,
        JOGAKBO_BROKER: 'local',
        ...settings,
      },
    });
    let output = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (output += text));
    return new Promise((resolve) => child.on('close', (code) => resolve({ code, output })));
  }

  nx(...args: string[]): Promise<Outcome> {
    return this.run(join(this.root, 'node_modules/.bin/nx'), args);
  }

  jogakbo(...args: string[]): Promise<Outcome> {
    return this.run(process.execPath, ['tools/cli/src/main.ts', ...args]);
  }

  /** Commits everything, so that `listChanges` starts from here. */
  async commit(): Promise<void> {
    if (!existsSync(join(this.root, '.git'))) await this.run('git', ['init', '--quiet']);
    await this.run('git', ['add', '--all']);
    const author = ['-c', 'user.name=test', '-c', 'user.email=test@localhost'];
    await this.run('git', [...author, 'commit', '--quiet', '--message', 'A workspace']);
  }

  /** What differs from the commit, as `git status --porcelain` prints it. */
  async listChanges(): Promise<string[]> {
    const { output } = await this.run('git', ['status', '--porcelain']);
    return output.split('\n').filter(Boolean);
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 5 });
  }
}

export interface Outcome {
  code: number | null;
  output: string;
}

function isPlatform(project: string): boolean {
  const { nx } = readJson<{ nx?: { tags?: string[] } }>(join(repository, project, 'package.json'));
  return nx?.tags?.includes('scope:platform') === true;
}

/** Links the packages of this workspace in another one instead of installing them, and the projects of that one. */
export function linkPackages(root: string): void {
  const packages = join(root, 'node_modules');
  mkdirSync(packages);
  // `.package-lock.json` is copied, because generators change it; the marker of the bootstrap is not for this workspace.
  for (const name of readdirSync(join(repository, 'node_modules')))
    if (!/^(@jogakbo|\.package-lock\.json|\.jogakbo-lock)$/.test(name))
      symlinkSync(join(repository, 'node_modules', name), join(packages, name));
  copyFileSync(join(repository, 'node_modules/.package-lock.json'), join(packages, '.package-lock.json'));
  for (const [path, { link, resolved }] of Object.entries(readLock(root).packages)) {
    if (!link || !resolved) continue;
    mkdirSync(dirname(join(root, path)), { recursive: true });
    symlinkSync(relative(dirname(join(root, path)), join(root, resolved)), join(root, path));
    const own = join(repository, resolved, 'node_modules');
    if (existsSync(own)) symlinkSync(own, join(root, resolved, 'node_modules'));
  }
}
