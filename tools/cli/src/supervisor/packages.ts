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
 * Finds packages of package-lock.json that are missing or installed in another version. Ignores packages that npm may
 * omit on this platform.
 * @param what `needed` also ignores development dependencies
 */
export function findMissingPackages(what: 'all' | 'needed', workspace = root): string[] {
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

/** The missing package of a failed import; undefined for other errors. */
export function parseMissingPackage(error: unknown): string | undefined {
  const { code, message } = error as NodeJS.ErrnoException;
  if (code !== 'ERR_MODULE_NOT_FOUND') return undefined;
  return /^Cannot find package '([^']+)'/.exec(message)?.[1];
}
