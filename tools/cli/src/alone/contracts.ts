import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { type ServiceContract } from '@jogakbo/contract';
import { root } from '../workspace.ts';

const contractsFolder = join(root, 'libs', 'contracts');
const getFile = (service: string): string => join(contractsFolder, service, 'src', 'index.ts');

/** The services that have a folder in `libs/contracts`. */
export const listContractFolders = (): string[] =>
  readdirSync(contractsFolder).filter((name) => existsSync(getFile(name)));

const isContract = (value: unknown): value is ServiceContract =>
  (value as ServiceContract | undefined)?.contracts instanceof Map;

/** Loads the contract that a service declares in `libs/contracts`; undefined if there is none. */
export async function loadContract(service: string): Promise<ServiceContract | undefined> {
  if (!/^[a-z][a-z0-9-]*$/.test(service) || !existsSync(getFile(service))) return undefined;
  const exported = (await import(pathToFileURL(getFile(service)).href)) as Record<string, unknown>;
  return Object.values(exported)
    .filter(isContract)
    .find(({ name }) => name === service);
}
