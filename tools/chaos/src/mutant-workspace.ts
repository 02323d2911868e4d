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
import { type Change, type Mutant } from './mutant.ts';
import { repository } from './store.ts';

const getProgramPath = (service: string) => join('apps', service, 'dist', 'main.js');

function applyChange(text: string, { find, replace }: Change): string {
  const [before, after, ...more] = text.split(find);
  if (before === undefined || after === undefined || more.length > 0)
    throw new Error(
      `this code occurs ${text.split(find).length - 1} times in the service, not once; update mutants.ts:\n${find}`,
    );
  return before + replace + after;
}

/** Builds all services. Call it before any other function of this file. */
export function buildServices(): void {
  const built = spawnSync(join(repository, 'node_modules', '.bin', 'nx'), ['run-many', '-t', 'build'], {
    cwd: repository,
    encoding: 'utf8',
    env: { ...process.env, NX_DAEMON: 'false', NX_TUI: 'false' },
  });
  if (built.status !== 0) throw new Error(`building the services failed:\n${built.stdout}${built.stderr}`);
}

/**
 * Applies the changes of a mutant to the built services. @returns the changed programs by path
 * @throws Error unless each text to replace occurs exactly once
 */
export function mutatePrograms(mutant: Mutant): Map<string, string> {
  return new Map(
    mutant.services.map((service) => {
      const path = getProgramPath(service);
      return [path, mutant.changes.reduce(applyChange, readFileSync(join(repository, path), 'utf8'))];
    }),
  );
}

/**
 * Copies the built services into a folder and applies a mutant. The workspace itself is not changed.
 * @param folder an empty folder
 */
export function makeMutantWorkspace(folder: string, mutant: Mutant): void {
  for (const app of readdirSync(join(repository, 'apps'))) {
    for (const part of ['package.json', 'dist', 'migrations', 'node_modules']) {
      const from = join(repository, 'apps', app, part);
      if (existsSync(from)) cpSync(from, join(folder, 'apps', app, part), { recursive: true });
    }
  }
  // A library may have a version of a package of its own.
  for (const name of ['jogakbo.config.ts', 'package.json', 'libs', 'tools'])
    symlinkSync(join(repository, name), join(folder, name));
  for (const [path, program] of mutatePrograms(mutant)) writeFileSync(join(folder, path), program);
  const packages = join(folder, 'node_modules');
  mkdirSync(join(packages, '.bin'), { recursive: true });
  for (const name of readdirSync(join(repository, 'node_modules')))
    if (!name.startsWith('.')) symlinkSync(join(repository, 'node_modules', name), join(packages, name));
  symlinkSync(process.execPath, join(packages, '.bin', 'node'));
  // Replaces the build of the store: everything is built already.
  writeFileSync(join(packages, '.bin', 'nx'), '#!/bin/sh\nexit 0\n', { mode: 0o755 });
}
