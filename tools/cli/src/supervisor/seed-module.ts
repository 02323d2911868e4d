import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { type WorkspaceConfig } from '@jogakbo/contract/workspace';
import { type StateFolder } from './state.ts';
import { root } from '../workspace.ts';

export interface SeedOptions {
  state: StateFolder;
  /** URL of the gateway. */
  url: string;
  /** Identity of the databases. A seed of other databases does not count. */
  identity: string;
  /** Sends everything, even if the store is known to be complete. */
  force: boolean;
  note: (text: string) => void;
  abort?: AbortSignal;
}

/** The exports of the module that `seed` of `jogakbo.config.ts` names. */
export interface SeedModule {
  /** The services that it needs besides the gateway. `npm start` does not seed without them. */
  services: readonly string[];
  /** Fills the store with data. Can be repeated. @returns the result in one line */
  seed(options: SeedOptions): Promise<string>;
}

/** Loads the seed module of the workspace; undefined if it has none. */
export async function loadSeedModule({ seed }: WorkspaceConfig): Promise<SeedModule | undefined> {
  return seed === undefined
    ? undefined
    : ((await import(pathToFileURL(join(root, seed)).href)) as SeedModule);
}
