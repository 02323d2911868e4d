import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

interface Manifest {
  name: string;
  description: string;
  scripts: Record<string, string>;
  [field: string]: unknown;
}

interface Lock {
  name: string;
  packages: Record<string, LockedPackage>;
}

interface LockedPackage {
  name?: string;
  /** Path of a package of the workspace. */
  resolved?: string;
  link?: boolean;
  dependencies?: Record<string, string>;
  devDependencies?: Record<string, string>;
  optionalDependencies?: Record<string, string>;
  peerDependencies?: Record<string, string>;
  [field: string]: unknown;
}

const readJson = <T>(path: string): T => JSON.parse(readFileSync(path, 'utf8')) as T;
const writeJson = (path: string, value: unknown) =>
  writeFileSync(path, `${JSON.stringify(value, null, 2)}\n`);

/** Writes the package.json of a product: without the scripts whose programs belong to this workspace only. */
export function writeManifest(repository: string, folder: string, name: string): void {
  const manifest = readJson<Manifest>(join(repository, 'package.json'));
  const workspaces = ['apps/*', 'libs/*', 'libs/contracts/*', 'tools/*'];
  const isKept = ([, command]: [string, string]) => !/tools\/(store|create)\/|--path /.test(command);
  const scripts = Object.fromEntries(Object.entries(manifest.scripts).filter(isKept));
  writeJson(join(folder, 'package.json'), {
    ...manifest,
    name,
    description: `${name}: services on the Jogakbo platform.`,
    workspaces,
    scripts,
  });
}

/**
 * Writes the package-lock.json of a product: the packages of this workspace that its projects need, in the same versions.
 * @param folder has all projects of the product already
 */
export function copyLock(repository: string, folder: string): void {
  const lock = readJson<Lock>(join(repository, 'package-lock.json'));
  const root = readJson<Manifest>(join(folder, 'package.json'));
  const all = lock.packages;
  const kept: Lock['packages'] = { '': { ...all[''], name: root.name, workspaces: root['workspaces'] } };
  const queue = [''];
  for (const [path, one] of Object.entries(all)) {
    if (!one.link || !one.resolved) continue;
    const target = one.resolved.replace(/^tools\/create\/sample\//, '');
    const project = readProject(join(folder, target));
    if (project === undefined) continue;
    kept[path] = { ...one, resolved: target };
    kept[target] = { ...all[one.resolved] };
    queue.push(target);
  }
  // Follows the dependencies, as Node resolves them: from the nearest node_modules outwards.
  for (let path = queue.pop(); path !== undefined; path = queue.pop()) {
    for (const dependency of listDependencies(kept[path]!)) {
      const found = resolveDependency(all, path, dependency);
      if (found === undefined || kept[found]) continue;
      kept[found] = all[found]!;
      if (!all[found]!.link) queue.push(found);
    }
  }
  const packages = Object.fromEntries(
    Object.entries(kept).sort(([one], [other]) => one.localeCompare(other, 'en')),
  );
  writeJson(join(folder, 'package-lock.json'), { ...lock, name: root.name, packages });
}

function readProject(path: string): Manifest | undefined {
  try {
    return readJson<Manifest>(join(path, 'package.json'));
  } catch {
    return undefined;
  }
}

const listDependencies = (one: LockedPackage): string[] =>
  [one.dependencies, one.devDependencies, one.optionalDependencies, one.peerDependencies].flatMap((all) =>
    Object.keys(all ?? {}),
  );

function resolveDependency(all: Lock['packages'], from: string, name: string): string | undefined {
  for (let parent = from; ; parent = parent.slice(0, Math.max(0, parent.lastIndexOf('/')))) {
    const path = parent === '' ? `node_modules/${name}` : `${parent}/node_modules/${name}`;
    if (all[path]) return path;
    if (parent === '') return undefined;
  }
}
