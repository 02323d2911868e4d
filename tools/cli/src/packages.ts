import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { readJson } from './state.ts';
import { root } from './workspace.ts';

interface Lock {
  packages: Record<string, { version?: string; optional?: true; devOptional?: true; peer?: true }>;
}

/**
 * The packages of package-lock.json that are not installed, or in another version. Those that npm may leave out on this
 * platform do not count.
 */
export function missingPackages(workspace = root): string[] {
  const wanted = readJson<Lock>(join(workspace, 'package-lock.json'))?.packages ?? {};
  const installed = readJson<Lock>(join(workspace, 'node_modules', '.package-lock.json'))?.packages ?? {};
  return Object.entries(wanted)
    .filter(([path, { optional, devOptional, peer }]) => {
      return path.includes('node_modules/') && !optional && !devOptional && !peer;
    })
    .filter(
      ([path, { version }]) => installed[path]?.version !== version || !existsSync(join(workspace, path)),
    )
    .map(([path]) => path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length));
}

/** The package that an import names, where it is not installed. */
export function packageNotFound(error: unknown): string | undefined {
  const { code, message } = error as NodeJS.ErrnoException;
  if (code !== 'ERR_MODULE_NOT_FOUND') return undefined;
  return /^Cannot find package '([^']+)'/.exec(message)?.[1];
}
