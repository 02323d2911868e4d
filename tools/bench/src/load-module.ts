import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { readWorkspaceConfig } from '@jogakbo/contract/workspace';
import { repository } from './started-store.ts';

export interface LoadOptions {
  /** Public URL of a running store. */
  url: string;
  /** Number of actions, all customers together. */
  count: number;
  /** Number of actions at a time. */
  customers: number;
  /** Called after each action. */
  onDone: () => void;
}

/** What customers of a product do. `load` of `jogakbo.config.ts` names the module whose default export this is. */
export interface LoadModule {
  /** Name of the actions, such as `purchases`. */
  unit: string;
  run(options: LoadOptions): Promise<void>;
}

/** @returns undefined if the workspace has no such module: a store is then measured without load only */
export async function importLoadModule(): Promise<LoadModule | undefined> {
  const { load } = await readWorkspaceConfig(repository);
  return load === undefined
    ? undefined
    : ((await import(pathToFileURL(join(repository, load)).href)) as { default: LoadModule }).default;
}
