import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { basename, join, relative, resolve } from 'node:path';
import {
  buildApps,
  writeCodeOwners,
  writeComposeFile,
  writeKubernetesFiles,
  writeMap,
  writeReferencePages,
} from './generated-files.ts';
import { copyLock, writeManifest } from './manifest.ts';

export const repository = resolve(import.meta.dirname, '..', '..', '..');
const sample = join(import.meta.dirname, '..', 'sample');

export interface CreateOptions {
  /** Absolute path of a new or empty folder. */
  folder: string;
  name: string;
  /** Whether to make a Git repository with a first commit. */
  git: boolean;
  /** Called before each step. */
  report: (text: string) => void;
}

/** The workspace cannot be made. The message contains the reason. */
export class CreateError extends Error {
  override readonly name = 'CreateError';
}

/** Files at the root, and folders, that do not depend on the services. The sample replaces some of them. */
const rootEntries = [
  '.ci',
  '.dockerignore',
  '.editorconfig',
  '.github',
  '.gitignore',
  '.npmrc',
  '.nxignore',
  '.prettierignore',
  '.prettierrc',
  'CONTRIBUTING.md',
  'LICENSE',
  'deploy',
  'docs/glossary.md',
  'eslint.config.mjs',
  'jest.config.mjs',
  'jest.packages.mjs',
  'jest.e2e.config.mjs',
  'jest.e2e.sequencer.mjs',
  'jest.integration.config.mjs',
  'libs/README.md',
  'nx.json',
  'tsconfig.base.json',
  'tsconfig.json',
];

const generated = new Set(['node_modules', 'dist', '.nx', '.jogakbo', 'coverage']);

/**
 * Makes a workspace with the platform and the sample service.
 * @throws CreateError if the folder or the name cannot be used; nothing is written then
 * @throws CliError if the services cannot be built
 */
export async function createWorkspace({ folder, name, git, report }: CreateOptions): Promise<void> {
  assertUsable(folder, name);
  mkdirSync(folder, { recursive: true });
  report(`making ${name} in ${folder}`);
  for (const entry of rootEntries) copy(join(repository, entry), join(folder, entry));
  const projects = listPlatformProjects();
  for (const project of projects) copy(join(repository, project), join(folder, project));
  report(`copied the platform: ${projects.length} projects`);
  copy(sample, folder);
  for (const file of ['README.md', 'README.ko.md', 'jogakbo.config.ts'])
    replaceName(join(folder, file), name);
  report('copied the sample service: apps/notes');
  writeManifest(repository, folder, name);
  copyLock(repository, folder);
  report('wrote package.json and package-lock.json');
  await writeComposeFile(folder);
  await writeCodeOwners(folder);
  const apps = await buildApps(folder, [sample, repository], report);
  writeMap(folder, apps);
  writeReferencePages(folder, apps);
  await writeKubernetesFiles(folder, apps);
  report('wrote docker-compose.yml, docs and deploy/kubernetes');
  if (git) makeRepository(folder);
}

function assertUsable(folder: string, name: string): void {
  if (!/^[a-z][a-z0-9]*(-[a-z0-9]+)*$/.test(name) || name.length > 40)
    throw new CreateError(
      `"${name}" cannot be the name: use at most 40 lower-case letters, digits and single hyphens, or give another --name`,
    );
  if (!relative(repository, folder).startsWith('..'))
    throw new CreateError(
      `${folder} is inside of this workspace: choose a folder outside, such as ../${name}`,
    );
  if (!existsSync(folder)) return;
  if (!statSync(folder).isDirectory()) throw new CreateError(`${folder} is a file, not a folder`);
  const [first] = readdirSync(folder);
  if (first !== undefined)
    throw new CreateError(`${folder} is not empty (it has ${first}): choose a new or empty folder`);
}

/** Paths of all projects of the platform, relative to the root. This tool is not one of them. */
export function listPlatformProjects(): string[] {
  return ['apps', 'libs', 'libs/contracts', 'tools']
    .flatMap((parent) => readdirSync(join(repository, parent)).map((name) => join(parent, name)))
    .filter((path) => path !== relative(repository, join(sample, '..')) && isPlatform(path))
    .sort();
}

function isPlatform(path: string): boolean {
  const file = join(repository, path, 'package.json');
  if (!existsSync(file)) return false;
  const { nx } = JSON.parse(readFileSync(file, 'utf8')) as { nx?: { tags?: string[] } };
  return nx?.tags?.includes('scope:platform') === true;
}

/** Copies a file or a folder, without what is generated in it. */
function copy(from: string, to: string): void {
  const isSource = (path: string) =>
    !generated.has(basename(path)) && !path.startsWith(join(sample, 'tsconfig'));
  cpSync(from, to, { recursive: true, filter: isSource });
}

function replaceName(file: string, name: string): void {
  writeFileSync(file, readFileSync(file, 'utf8').replaceAll('my-product', name));
}

function makeRepository(folder: string): void {
  const author = ['-c', 'user.name=jogakbo', '-c', 'user.email=jogakbo@localhost'];
  for (const args of [
    ['init', '--quiet', '--initial-branch=main'],
    ['add', '--all'],
    [...author, 'commit', '--quiet', '--message', 'Start from the platform'],
  ]) {
    const { status, stderr, error } = spawnSync('git', args, { cwd: folder, encoding: 'utf8' });
    if (status !== 0) throw new CreateError(`git ${args.join(' ')} failed: ${error?.message ?? stderr}`);
  }
}
