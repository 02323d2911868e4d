import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ServiceDescription } from '@jogakbo/contract';
import type { ServiceVersion } from '@jogakbo/delivery/src/contract-check.ts';
import { nearestName } from '@jogakbo/service/nearest-name';
import { CliError, toMessage, UsageError } from './terminal/cli-error.ts';
import { type App, listApps } from './workspace.ts';

/** A built service of this workspace. */
export interface BuiltService extends ServiceVersion {
  app: App;
}

/**
 * Selects apps by name. @param names none: all
 * @throws UsageError for an unknown name
 */
export function selectApps(names: readonly string[], all: readonly App[] = listApps()): App[] {
  for (const name of names) {
    if (all.some((app) => app.name === name)) continue;
    const meant = nearestName(
      name,
      all.map((app) => app.name),
    );
    throw new UsageError(`There is no service "${name}" in this workspace.`, {
      remedies: [meant ? `did you mean ${meant}?` : `it has ${all.map((app) => app.name).join(', ')}`],
    });
  }
  return all.filter(({ name }) => names.length === 0 || names.includes(name));
}

/**
 * Reads the contracts that the build of apps has written.
 * @param versions by name; by default those of their package.json
 * @throws CliError if one is missing or cannot be parsed
 */
export function readBuiltContracts(
  apps: readonly App[],
  versions: Readonly<Record<string, string>> = {},
): BuiltService[] {
  const missing = apps.filter(({ folder }) => !existsSync(getFile(folder)));
  if (missing.length > 0) {
    const names = missing.map(({ name }) => name);
    throw new CliError(`The build of ${names.join(', ')} has no contract.`, {
      details: names.map((name) => `apps/${name}/dist/contract.json is missing`),
      remedies: [`npx nx run-many -t build -p ${names.join(',')}`],
    });
  }
  return apps.map((app) => {
    const contract = readContract(app);
    return { app, service: contract.service, version: versions[app.name] ?? readVersion(app), contract };
  });
}

const getFile = (folder: string): string => join(folder, 'dist', 'contract.json');

function readContract({ name, folder }: App): ServiceDescription {
  const createError = (details: string[]) =>
    new CliError(`apps/${name}/dist/contract.json is not a contract.`, {
      details,
      remedies: [`build it again:  npx nx build ${name} --skip-nx-cache`],
    });
  let content: unknown;
  try {
    content = JSON.parse(readFileSync(getFile(folder), 'utf8'));
  } catch (error) {
    throw createError([toMessage(error)]);
  }
  const parsed = ServiceDescription.safeParse(content);
  if (!parsed.success)
    throw createError(
      parsed.error.issues
        .slice(0, 5)
        .map((issue) => `${issue.path.join('.') || 'contract'}: ${issue.message}`),
    );
  return parsed.data;
}

const readVersion = ({ folder }: App): string =>
  (JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as { version?: string }).version ?? '0.0.0';
