import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
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

/** Load for measurements: what customers of a product do. */
export interface LoadModule {
  /** Name of the actions, such as `purchases`. */
  unit: string;
  run(options: LoadOptions): Promise<void>;
}

const path = 'tools/store/src/bench/load.ts';

/** @returns undefined if the workspace has no such module: a store is then measured without load only */
export async function importLoadModule(): Promise<LoadModule | undefined> {
  const file = join(repository, path);
  return existsSync(file)
    ? ((await import(pathToFileURL(file).href)) as { default: LoadModule }).default
    : undefined;
}
