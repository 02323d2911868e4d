import { spawnSync } from 'node:child_process';
import {
  appendFileSync,
  cpSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { listServices, readContents, WorkspaceContents } from '../src/content.ts';
import type { LockEntry } from '../src/lock-file.ts';

const root = join(import.meta.dirname, '..', '..', '..');
/** A copy of this workspace with a history of one commit. */
const folder = mkdtempSync(join(tmpdir(), 'jogakbo-affected-'));
const services = listServices(root);
const closures = new Map(services.map((name) => [name, new WorkspaceContents(root).resolveProduction(name)]));

function run(command: string, ...args: string[]): string {
  const { status, stdout, stderr } = spawnSync(command, args, {
    ...{ cwd: folder, encoding: 'utf8', maxBuffer: 1e8 },
    env: {
      ...{ PATH: process.env.PATH, HOME: process.env.HOME, JOGAKBO_WORKSPACE: folder },
      ...{ NX_DAEMON: 'false', NX_TUI: 'false', NX_CACHE_DIRECTORY: join(folder, '.nx/cache') },
    },
  });
  if (status !== 0) throw new Error(`${[command, ...args].join(' ')}\n${stdout}${stderr}`);
  return stdout;
}
const nx = (...args: string[]) => run(join(root, 'node_modules/.bin/nx'), ...args);
const git = (...args: string[]) =>
  run('git', '-c', 'user.name=test', '-c', 'user.email=test@localhost', ...args);

/** The services that each command checks after a change, and those whose content differs. */
async function findAffected(change: () => void): Promise<Record<'nx' | 'jogakbo' | 'content', string[]>> {
  const before = await readContents(folder);
  change();
  const after = await readContents(folder);
  const cli = join(root, 'tools/cli/src/main.ts');
  const listed = {
    nx: nx('show', 'projects', '--affected', '--json', '--base=HEAD'),
    jogakbo: run(process.execPath, cli, 'affected', '--json', '--base=HEAD'),
  };
  const select = (json: string) => services.filter((name) => (JSON.parse(json) as string[]).includes(name));
  return {
    nx: select(listed.nx),
    jogakbo: select(listed.jogakbo),
    content: services.filter((name) => after.get(name)!.hash !== before.get(name)!.hash),
  };
}
const all = (names: string[]) => ({ nx: names, jogakbo: names, content: names });

function editJson<T>(file: string, edit: (json: T) => void): void {
  const json = JSON.parse(readFileSync(join(folder, file), 'utf8')) as T;
  edit(json);
  writeFileSync(join(folder, file), `${JSON.stringify(json, null, 2)}\n`);
}
const editLock = (edit: (packages: Record<string, LockEntry>) => void) =>
  editJson<{ packages: Record<string, LockEntry> }>('package-lock.json', ({ packages }) => edit(packages));

/** Changes a package.json, and the lock file as `npm install` does. */
function editDependencies(service: string, edit: (dependencies: Record<string, string>) => void): void {
  editJson<Required<LockEntry>>(`apps/${service}/package.json`, ({ dependencies }) => edit(dependencies));
  editLock((packages) => edit(packages[`apps/${service}`]!.dependencies!));
}

/** A package that only one service needs, and that it declares itself. */
function findOwnPackage(): { service: string; name: string; path: string } {
  for (const [service, { declared, packages }] of closures)
    for (const path of declared.get(`apps/${service}`)!) {
      const { name, dependencies } = packages.get(path)!;
      const others = [...closures].filter(([other, one]) => other !== service && one.packages.has(path));
      if (others.length === 0 && dependencies.length === 0) return { service, name, path };
    }
  throw new Error('every package is shared');
}

function addPackage(service: string): void {
  editLock(
    (packages) => (packages['node_modules/new-package'] = { version: '1.0.0', integrity: 'sha512-new' }),
  );
  editDependencies(service, (dependencies) => (dependencies['new-package'] = '1.0.0'));
}

beforeAll(() => {
  const args = ['ls-files', '--cached', '--others', '--exclude-standard', '--deduplicate'];
  const { stdout } = spawnSync('git', args, { cwd: root, encoding: 'utf8' });
  for (const path of stdout.trim().split('\n')) cpSync(join(root, path), join(folder, path));
  symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'));
  git('init', '--quiet', '--initial-branch=main');
  git('add', '--all');
  git('commit', '--quiet', '--message', 'Copy the workspace');
}, 60_000);
afterEach(() => void git('checkout', '--quiet', '.'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('nx affected', () => {
  it('names the owner and the consumers of a contract', async () => {
    const contracts = [...new Set([...closures.values()].flatMap(({ folders }) => folders))].filter((path) =>
      path.startsWith('libs/contracts/'),
    );
    const consumers = (path: string) => services.filter((name) => closures.get(name)!.folders.includes(path));
    const contract = contracts.find((path) => consumers(path).length === 2)!;
    const affected = await findAffected(() =>
      appendFileSync(join(folder, contract, 'src/index.ts'), '// changed\n'),
    );
    expect(affected).toEqual(all(consumers(contract)));
  });

  it('names no service after a change of texts', async () => {
    const texts = [
      `apps/${services[0]}/README.md`,
      'README.md',
      'docs/glossary.md',
      'libs/service/README.md',
    ];
    const affected = await findAffected(() =>
      texts.forEach((path) => appendFileSync(join(folder, path), 'More.\n')),
    );
    expect(affected).toEqual(all([]));
  });

  it('names the one service that gets a package', async () => {
    const [service] = services as [string];
    const affected = await findAffected(() => addPackage(service));
    expect(affected).toEqual(all([service]));
  });
});

describe('jogakbo affected', () => {
  // Nx compares names, so other services with another version of the package are in its answer.
  it('names the one service whose package changes', async () => {
    const { service, name, path } = findOwnPackage();
    const { nx: _more, ...exact } = await findAffected(() => {
      editLock((packages) =>
        Object.assign(packages[path]!, { version: '99.0.0', integrity: 'sha512-other' }),
      );
      editDependencies(service, (dependencies) => (dependencies[name] = '99.0.0'));
    });
    expect(exact).toEqual({ jogakbo: [service], content: [service] });
  });

  it('names the one service whose package changes in package-lock.json only', async () => {
    const { service, path } = findOwnPackage();
    const { nx: _more, ...exact } = await findAffected(() =>
      editLock((packages) => Object.assign(packages[path]!, { integrity: 'sha512-other' })),
    );
    expect(exact).toEqual({ jogakbo: [service], content: [service] });
  });

  it('names the one service that loses a package, which Nx takes for a change of everything', async () => {
    const { service, name, path } = findOwnPackage();
    const { nx: more, ...exact } = await findAffected(() => {
      editLock((packages) => delete packages[path]);
      editDependencies(service, (dependencies) => delete dependencies[name]);
    });
    expect(exact).toEqual({ jogakbo: [service], content: [service] });
    expect(more).toContain(service);
  });

  it('names every service after a change of the tools that check them', async () => {
    const { jogakbo } = await findAffected(() =>
      editLock((packages) => Object.assign(packages['node_modules/eslint']!, { integrity: 'sha512-other' })),
    );
    expect(jogakbo).toEqual(services);
  });
});

describe('the cache of Nx', () => {
  it('stays valid for the services that do not get a package', () => {
    const [service, other] = services.filter(
      (name) => !existsSync(join(root, 'apps', name, 'node_modules')),
    ) as [string, string];
    const build = () => nx('run-many', '-t', 'build', '-p', `${service},${other}`, '--output-style=static');
    build();
    expect(build()).toMatch(/Cache: +2\/2 hit/);
    addPackage(service);
    const output = build();
    expect(output).toMatch(/Cache: +1\/2 hit/);
    expect(output).toMatch(new RegExp(`nx run ${other}:build +\\[local cache\\]`));
  }, 120_000);
});
