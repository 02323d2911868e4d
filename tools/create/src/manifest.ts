import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { followDependencies, type LockFile } from '@jogakbo/generators/lock-file';

interface Manifest {
  name: string;
  description: string;
  scripts: Record<string, string>;
  [field: string]: unknown;
}

const readJson = <T>(path: string): T => JSON.parse(readFileSync(path, 'utf8')) as T;
const writeJson = (path: string, value: unknown) =>
  writeFileSync(path, `${JSON.stringify(value, null, 2)}\n`);

/** Writes the package.json of a product: without the scripts whose programs belong to this workspace only. */
export function writeManifest(repository: string, folder: string, name: string): void {
  const manifest = readJson<Manifest>(join(repository, 'package.json'));
  const workspaces = ['apps/*', 'libs/*', 'libs/contracts/*', 'tools/*'];
  const isKept = ([, command]: [string, string]) =>
    !/tools\/(store|create)\/|--path |--prefix docs/.test(command);
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
  const lock = readJson<LockFile>(join(repository, 'package-lock.json'));
  const root = readJson<Manifest>(join(folder, 'package.json'));
  const projects: LockFile['packages'] = {
    '': { ...lock.packages[''], name: root.name, workspaces: root['workspaces'] },
  };
  for (const [path, one] of Object.entries(lock.packages)) {
    if (!one.link || !one.resolved) continue;
    const target = one.resolved.replace(/^tools\/create\/sample\//, '');
    if (!existsSync(join(folder, target, 'package.json'))) continue;
    projects[path] = { ...one, resolved: target };
    projects[target] = { ...lock.packages[one.resolved] };
  }
  const all = { ...lock.packages, ...projects };
  const reached = followDependencies(all, Object.keys(projects));
  const packages = Object.fromEntries(
    [...reached].sort((one, other) => one.localeCompare(other, 'en')).map((path) => [path, all[path]]),
  );
  writeJson(join(folder, 'package-lock.json'), { ...lock, name: root.name, packages });
}
