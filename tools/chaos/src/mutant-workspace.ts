import { spawnSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { type Change, type Mutant } from './mutants.ts';
import { repository } from './store.ts';

const getProgram = (service: string) => join('apps', service, 'dist', 'main.js');

function changed(text: string, { find, replace }: Change): string {
  const [before, after, ...more] = text.split(find);
  if (before === undefined || after === undefined || more.length > 0)
    throw new Error(`this piece occurs ${text.split(find).length - 1} times, and must occur once:\n${find}`);
  return before + replace + after;
}

/** Builds what is not built. Before any other function of this file. */
export function buildServices(): void {
  const built = spawnSync(join(repository, 'node_modules', '.bin', 'nx'), ['run-many', '-t', 'build'], {
    cwd: repository,
    encoding: 'utf8',
    env: { ...process.env, NX_DAEMON: 'false', NX_TUI: 'false' },
  });
  if (built.status !== 0) throw new Error(`the services cannot be built:\n${built.stdout}${built.stderr}`);
}

/**
 * The built services that a mutant changes, changed; by path.
 * @throws Error unless each piece to be replaced occurs exactly once
 */
export function listPrograms(mutant: Mutant): Map<string, string> {
  return new Map(
    mutant.in.map((service) => {
      const path = getProgram(service);
      return [path, mutant.changes.reduce(changed, readFileSync(join(repository, path), 'utf8'))];
    }),
  );
}

/**
 * A copy of the built services, changed. Nothing of the workspace itself is touched.
 * @param folder empty; the copy is made there
 */
export function makeMutantWorkspace(folder: string, mutant: Mutant): void {
  for (const app of readdirSync(join(repository, 'apps'))) {
    for (const part of ['package.json', 'dist', 'migrations', 'node_modules']) {
      const from = join(repository, 'apps', app, part);
      if (existsSync(from)) cpSync(from, join(folder, 'apps', app, part), { recursive: true });
    }
  }
  for (const [path, program] of listPrograms(mutant)) writeFileSync(join(folder, path), program);
  const packages = join(folder, 'node_modules');
  mkdirSync(join(packages, '.bin'), { recursive: true });
  for (const name of readdirSync(join(repository, 'node_modules')))
    if (!name.startsWith('.')) symlinkSync(join(repository, 'node_modules', name), join(packages, name));
  symlinkSync(process.execPath, join(packages, '.bin', 'node'));
  // All is built: a store that asks for a build is told so.
  writeFileSync(join(packages, '.bin', 'nx'), '#!/bin/sh\nexit 0\n', { mode: 0o755 });
}
