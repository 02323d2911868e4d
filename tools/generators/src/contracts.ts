import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { routesOverlap, type AnyContract, type AnyEvent } from '@jogakbo/contract';
import { GeneratorError } from './generator-error.ts';
import { contractFolder, contractPackage } from './service-files.ts';

/** A contract of the workspace, as its package exports it. */
export interface KnownContract {
  service: string;
  /** Name of its constant: `NoteAdded`. */
  exportName: string;
  contract: AnyContract;
}

const isContract = (value: unknown): value is AnyContract =>
  typeof value === 'function' && 'kind' in value && 'service' in value;

/**
 * Loads the contracts of a service from the disk: none if it has no contract file.
 * @param root of the workspace @throws GeneratorError if the file cannot be loaded
 */
export async function loadContracts(root: string, service: string): Promise<KnownContract[]> {
  const file = `${contractFolder(service)}/src/index.ts`;
  if (!existsSync(join(root, file))) return [];
  let exported: Record<string, unknown>;
  try {
    exported = (await import(pathToFileURL(join(root, file)).href)) as Record<string, unknown>;
  } catch (error) {
    throw new GeneratorError(
      `${file} cannot be loaded: ${(error as Error).message}`,
      'Correct it first. Nothing was changed.',
    );
  }
  return Object.entries(exported).flatMap(([exportName, contract]) =>
    isContract(contract) && contract.service === service ? [{ service, exportName, contract }] : [],
  );
}

const listContractFolders = (root: string): string[] => readdirSync(join(root, 'libs/contracts')).sort();

async function loadAllContracts(root: string): Promise<KnownContract[]> {
  const all = await Promise.all(listContractFolders(root).map((name) => loadContracts(root, name)));
  return all.flat();
}

/** @throws GeneratorError if another operation of the workspace has the route */
export async function assertRoutesFree(root: string, routes: readonly string[]): Promise<void> {
  const all = await loadAllContracts(root);
  for (const route of routes)
    for (const { contract } of all) {
      const taken = 'http' in contract ? contract.http?.route : undefined;
      if (taken && routesOverlap(taken, route))
        throw new GeneratorError(
          `${route} cannot be used: ${contract.name} has the route ${taken}.`,
          'Choose another route.',
        );
    }
}

/** An event, by its full name. @throws GeneratorError with the events of the service, or the names of the services */
export async function findEvent(root: string, name: string): Promise<KnownContract & { contract: AnyEvent }> {
  const [service = '', short] = name.split('.');
  if (!short)
    throw new GeneratorError(`"${name}" is not the full name of an event.`, 'Write it as <service>.<event>.');
  const isEvent = (one: KnownContract): one is KnownContract & { contract: AnyEvent } =>
    one.contract.kind === 'event';
  const events = (await loadContracts(root, service)).filter(isEvent);
  const found = events.find(({ contract }) => contract.name === name);
  if (found) return found;
  const known = listContractFolders(root);
  if (!known.includes(service))
    throw new GeneratorError(
      `There is no contract of a service "${service}".`,
      `There are: ${known.join(', ')}.`,
    );
  const names = events.map(({ contract }) => contract.name).join(', ');
  throw new GeneratorError(
    `${service} has no event "${name}".`,
    names ? `Its events are: ${names}.` : `It has no events: nx g event ${service} ${short}`,
  );
}

/** Where to import a contract from. */
export const getPackage = ({ service }: KnownContract): string => contractPackage(service);
