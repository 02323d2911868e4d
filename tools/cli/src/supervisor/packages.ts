import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { readJson } from './state.ts';
import { root } from '../workspace.ts';

interface Lock {
  packages: Record<
    string,
    { version?: string; dev?: true; optional?: true; devOptional?: true; peer?: true }
  >;
}

/**
 * The packages of package-lock.json that are not installed, or in another version. Those that npm may leave out on this
 * platform do not count.
 * @param what `needed` leaves out those that only the work on the workspace needs
 */
export function missingPackages(what: 'all' | 'needed', workspace = root): string[] {
  const wanted = readJson<Lock>(join(workspace, 'package-lock.json'))?.packages ?? {};
  return Object.entries(wanted)
    .filter(([path, { dev, optional, devOptional, peer }]) => {
      const mayMiss = optional || devOptional || peer || (what === 'needed' && dev);
      return path.includes('node_modules/') && !mayMiss;
    })
    .filter(([path, { version }]) => !isInstalled(join(workspace, path), version))
    .map(([path]) => path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length));
}

const isInstalled = (folder: string, version: string | undefined): boolean =>
  version === undefined
    ? existsSync(folder)
    : readJson<{ version?: string }>(join(folder, 'package.json'))?.version === version;

/** The package that an import names, where it is not installed. */
export function packageNotFound(error: unknown): string | undefined {
  const { code, message } = error as NodeJS.ErrnoException;
  if (code !== 'ERR_MODULE_NOT_FOUND') return undefined;
  return /^Cannot find package '([^']+)'/.exec(message)?.[1];
}
