import type { Engine } from '@jogakbo/delivery/src/engine.ts';
import { asOperator, findReadyStore } from '../commands/operator-client.ts';
import { ControlClient } from '../supervisor/control-client.ts';
import { LocalEngine } from './local-engine.ts';
import { getReleaseFolder } from './releases.ts';
import { type RunRecord } from '../supervisor/run-record.ts';
import { type StateFolder } from '../supervisor/state.ts';

export type OpenEngine = Engine;

/** The services without which calls cannot be split, and contracts cannot be compared. */
const needed = ['gateway', 'identity', 'registry', 'config'];

export const hasPlatform = ({ services }: RunRecord): boolean =>
  needed.every((name) => services.some((service) => service.name === name));

/** Connects to the running store for the duration of `work`. What it has not promoted is withdrawn at the end. */
export async function openEngine<T>(
  state: StateFolder,
  work: (engine: OpenEngine) => Promise<T>,
): Promise<T> {
  const run = findReadyStore(state);
  const control = await ControlClient.open(state);
  const getFolder = (release: { service: string; version: string }) => getReleaseFolder(state, release);
  try {
    if (!hasPlatform(run)) return await work(new LocalEngine(state, control, undefined, getFolder));
    return await asOperator(state, (client) => work(new LocalEngine(state, control, client, getFolder)));
  } finally {
    control.close();
  }
}
