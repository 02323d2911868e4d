import {
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join, relative } from 'node:path';
import type { Tree } from '@nx/devkit';
import { GeneratorError } from './generator-error.ts';
import { addProject, removeProjects, type LockFile } from './lock-file.ts';
import { readJsonFile, writeJsonFile } from './service-files.ts';

export interface Manifest {
  name: string;
  version: string;
  dependencies?: Record<string, string>;
  devDependencies?: Record<string, string>;
  [field: string]: unknown;
}

const lockPath = 'package-lock.json';
/** Where npm records what is installed. */
const installedPath = 'node_modules/.package-lock.json';

/** The version of a package from outside the workspace that all services share. @throws GeneratorError if it is not installed */
export function readSharedVersion(tree: Tree, name: string): string {
  const { version } = readJsonFile<LockFile>(tree, lockPath).packages[`node_modules/${name}`] ?? {};
  if (!version) throw new GeneratorError(`${lockPath} has no package ${name}.`, 'Run: npm install');
  return version;
}

/**
 * The range of a dependency on a package of the workspace: any version, because there is only the one of the workspace.
 * @throws GeneratorError if there is no such package
 */
export function getProjectRange(tree: Tree, name: string): string {
  if (findProjectFolder(tree, name)) return '*';
  throw new GeneratorError(`${lockPath} has no package ${name}.`, 'Run: npm install');
}

/** The folder of a package of the workspace; undefined if there is none. */
export const findProjectFolder = (tree: Tree, name: string): string | undefined =>
  readJsonFile<LockFile>(tree, lockPath).packages[`node_modules/${name}`]?.resolved;

/** Writes package.json of a project, and records it in package-lock.json. */
export function writeManifest(tree: Tree, folder: string, manifest: Manifest): void {
  writeJsonFile(tree, `${folder}/package.json`, manifest);
  writeJsonFile(tree, lockPath, addProject(readJsonFile<LockFile>(tree, lockPath), folder, manifest));
}

/** Adds a package of the workspace to the dependencies of a project, unless it is there. */
export function addDependency(tree: Tree, folder: string, name: string): void {
  const manifest = readJsonFile<Manifest>(tree, `${folder}/package.json`);
  if (manifest.dependencies?.[name]) return;
  const all = { ...manifest.dependencies, [name]: getProjectRange(tree, name) };
  const sorted = Object.entries(all).sort(([one], [other]) => one.localeCompare(other, 'en'));
  writeManifest(tree, folder, { ...manifest, dependencies: Object.fromEntries(sorted) });
}

/**
 * Installs projects of the workspace whose files are on the disk, as `npm install` would: links them in node_modules, and
 * records them there. Does nothing if no packages are installed.
 */
export function installProjects(root: string, folders: readonly string[]): void {
  if (!existsSync(join(root, installedPath))) return;
  let installed = readJson<LockFile>(join(root, installedPath));
  for (const folder of folders) {
    const manifest = readJson<Manifest>(join(root, folder, 'package.json'));
    const link = join(root, 'node_modules', manifest.name);
    mkdirSync(dirname(link), { recursive: true });
    rmSync(link, { force: true });
    symlinkSync(relative(dirname(link), join(root, folder)), link);
    installed = addProject(installed, folder, manifest);
  }
  writeAtomically(join(root, installedPath), installed);
}

/** Removes projects from package-lock.json and node_modules. Packages that only they needed stay in node_modules. */
export function uninstallProjects(root: string, folders: readonly string[]): void {
  const lock = readJson<LockFile>(join(root, lockPath));
  writeAtomically(join(root, lockPath), removeProjects(lock, folders));
  for (const [path, { link, resolved }] of Object.entries(lock.packages)) {
    const isLink = link && resolved && folders.includes(resolved);
    if (isLink && lstatSync(join(root, path), { throwIfNoEntry: false })) rmSync(join(root, path));
  }
  if (!existsSync(join(root, installedPath))) return;
  const installed = readJson<LockFile>(join(root, installedPath));
  writeAtomically(join(root, installedPath), removeProjects(installed, folders));
}

const readJson = <T>(path: string): T => JSON.parse(readFileSync(path, 'utf8')) as T;

function writeAtomically(path: string, value: unknown): void {
  const draft = `${path}.${process.pid}.tmp`;
  writeFileSync(draft, `${JSON.stringify(value, null, 2)}\n`);
  renameSync(draft, path);
}
