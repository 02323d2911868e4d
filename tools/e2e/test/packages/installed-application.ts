import { type ChildProcess, execFile, fork } from 'node:child_process';
import { once } from 'node:events';
import {
  constants,
  cpSync,
  globSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { nodePath, nxPath, root } from '@jogakbo/cli/src/workspace.ts';
import { type LockEntry, LockFile } from '@jogakbo/delivery/src/lock-file.ts';

const run = promisify(execFile);

/** A package as `npm pack` describes it. */
export interface Packed {
  name: string;
  filename: string;
  files: { path: string }[];
}

/** The tag of the libraries that `nx release` releases. */
const releaseTag = 'release:npm';

const readJson = <T>(file: string) => JSON.parse(readFileSync(file, 'utf8')) as T;

/** Packages that the application uses besides the libraries: those of an ordinary Nest application. */
const ownPackages = [
  '@nestjs/microservices',
  '@nestjs/platform-fastify',
  'amqp-connection-manager',
  '@types/node',
];

/** The sample application in a folder outside of the workspace, with the packed libraries. */
export class InstalledApplication {
  readonly folder = realpathSync(mkdtempSync(join(tmpdir(), 'jogakbo-packages-')));
  readonly #children = new Set<ChildProcess>();
  packed: Packed[] = [];

  /** Packs the libraries, and installs them beside third-party packages of the workspace. Uses no registry. */
  async install(): Promise<void> {
    const archives = join(this.folder, 'archives');
    mkdirSync(archives);
    const libraries = await this.#buildPackages();
    const folders = libraries.map((library) => join(library, 'dist'));
    const { stdout } = await run('npm', ['pack', '--json', '--pack-destination', archives, ...folders], {
      cwd: root,
    });
    this.packed = JSON.parse(stdout) as Packed[];
    cpSync(join(import.meta.dirname, 'application'), this.folder, { recursive: true });
    this.#copyThirdParty(libraries);
    const files = this.packed.map(({ filename }) => join(archives, filename));
    // npm would ask a registry about peers, also about those that are installed. `npm ls` checks them.
    await this.#npm('install', '--offline', '--legacy-peer-deps', '--ignore-scripts', '--no-audit', ...files);
    await this.#npm('ls', '--all');
  }

  /** @returns the paths of the libraries in the workspace */
  async #buildPackages(): Promise<string[]> {
    await run(nxPath(), ['run-many', '--targets=package', `--projects=tag:${releaseTag}`], { cwd: root });
    return globSync('libs/{*,contracts/*}/package.json', { cwd: root })
      .filter((file) => readJson<{ nx: { tags: string[] } }>(join(root, file)).nx.tags.includes(releaseTag))
      .map((file) => dirname(file));
  }

  /** @param libraries paths in the workspace */
  #copyThirdParty(libraries: readonly string[]): void {
    const file = join(root, 'package-lock.json');
    const { packages } = readJson<{ packages: Record<string, LockEntry> }>(file);
    const types = libraries.flatMap((library) => listTypePackages(join(root, library, 'dist')));
    const own = Object.fromEntries([...ownPackages, ...types].map((name) => [name, '*']));
    const lock = new LockFile({ ...packages, application: { dependencies: own } });
    const copied = new Map<string, string>();
    for (const from of ['application', ...libraries])
      for (const path of lock.resolveProduction(from).packages.keys()) {
        // npm installs beside a library what differs from the version at the root of the workspace.
        const target = path.slice(path.indexOf('node_modules/'));
        if (copied.has(target) && copied.get(target) !== path) throw new Error(`two versions of ${target}`);
        copied.set(target, path);
      }
    for (const [target, path] of copied)
      cpSync(join(root, path), join(this.folder, target), {
        recursive: true,
        // Nested packages have paths of their own.
        filter: (source) => basename(source) !== 'node_modules',
        mode: constants.COPYFILE_FICLONE,
      });
    const dependencies = Object.fromEntries(
      [...copied]
        .filter(([target]) => target.lastIndexOf('node_modules/') === 0)
        .map(([target, path]) => [target.slice('node_modules/'.length), packages[path]!.version!]),
    );
    const manifest = { name: 'application', private: true, type: 'module', dependencies };
    writeFileSync(join(this.folder, 'package.json'), JSON.stringify(manifest));
  }

  async #npm(...args: string[]): Promise<string> {
    return (await run('npm', args, { cwd: this.folder })).stdout;
  }

  /** Compiles the application. @returns the messages of the compiler */
  async compile(): Promise<string> {
    const compiler = join(root, 'node_modules/typescript-native/bin/tsc');
    return run(nodePath(), [compiler, '--project', this.folder], { cwd: this.folder }).then(
      ({ stdout }) => stdout,
      ({ stdout }: { stdout: string }) => stdout,
    );
  }

  /** Runs a module of the application to its end. @throws Error with its output if it fails */
  async run(args: readonly string[], env: NodeJS.ProcessEnv): Promise<string> {
    const options = { cwd: this.folder, env: { ...process.env, ...env } };
    return run(nodePath(), args, options).then(
      ({ stdout }) => stdout,
      ({ message, stdout }: Error & { stdout: string }) => {
        throw new Error(`${message}\n${stdout}`);
      },
    );
  }

  /** Starts a module of the application. @returns when it is ready, with its address */
  async start(module: string, env: NodeJS.ProcessEnv): Promise<{ child: ChildProcess; url: string }> {
    const child = fork(join(this.folder, module), [], {
      ...{ cwd: this.folder, execPath: nodePath(), execArgv: [], silent: true },
      env: { ...process.env, ...env },
    });
    this.#children.add(child);
    let output = '';
    for (const stream of [child.stdout!, child.stderr!]) stream.on('data', (data) => (output += data));
    const ready = once(child, 'message') as Promise<[{ url: string }]>;
    const ended = once(child, 'exit').then(() => {
      throw new Error(`${module} ended before it was ready:\n${output}`);
    });
    ended.catch(() => {});
    const [{ url }] = await Promise.race([ready, ended]);
    return { child, url };
  }

  async stop(child: ChildProcess): Promise<void> {
    this.#children.delete(child);
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill('SIGTERM');
    await once(child, 'exit');
  }

  async remove(): Promise<void> {
    await Promise.all([...this.#children].map((child) => this.stop(child)));
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** The `@types` packages that a packed library requires. */
const listTypePackages = (folder: string): string[] =>
  Object.keys(
    readJson<{ dependencies: Record<string, string> }>(join(folder, 'package.json')).dependencies,
  ).filter((name) => name.startsWith('@types/'));
