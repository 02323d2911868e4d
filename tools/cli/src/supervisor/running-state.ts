import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { CliError } from '../terminal/cli-error.ts';
import { quoteForShell } from '../terminal/printable.ts';
import { readRun, isSupervisorAlive, type RunRecord } from './run-record.ts';
import { openState, type StateFolder } from './state.ts';

/** The record of the store that runs on this machine, in this state folder. */
export function findRunningStore(state: StateFolder): RunRecord | undefined {
  const run = readRun(state);
  return run && isSupervisorAlive(run) ? run : undefined;
}

/** The folder of the services that `jogakbo serve` runs alone, each with a state folder of its own. */
const getAloneFolder = (state: StateFolder): string => join(state.folder, 'alone');

/** The state folder of a service that runs alone. Apart from that of the store: stubs must not receive the store's messages. */
export const openAloneState = (state: StateFolder, service: string): StateFolder =>
  openState(join(getAloneFolder(state), service));

/** The state folders of all services that have run alone. */
export const listAloneStates = (state: StateFolder): StateFolder[] =>
  existsSync(getAloneFolder(state))
    ? readdirSync(getAloneFolder(state)).map((service) => openAloneState(state, service))
    : [];

/**
 * The state folder of what runs here: the store, else the one service that runs alone, else the store that does not run.
 * @throws CliError if several services run alone
 */
export function openRunningState(): StateFolder {
  const state = openState();
  if (findRunningStore(state)) return state;
  const [first, ...others] = listAloneStates(state).filter(findRunningStore);
  if (others.length === 0) return first ?? state;
  throw new CliError('Several services run alone.', {
    remedies: [first!, ...others].map(({ folder }) => `select one:  JOGAKBO_HOME=${quoteForShell(folder)}`),
  });
}
