import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { isAlive, type ProcessIdentity } from './processes.ts';
import { createExclusively, readJson, removeIf, type StateFolder, writeJson } from './state.ts';

/** `served` is the state of instances of `jogakbo serve`, all others of the store's own processes. */
export type ServiceState = 'starting' | 'ready' | 'waiting' | 'suspended' | 'stopped' | 'served';

export interface ServiceRecord {
  name: string;
  /** Of a process that the store deployed. Undefined in dense mode. */
  version?: string;
  state: ServiceState;
  process?: ProcessIdentity;
  url?: string;
  since: number;
  restarts: number;
}

/** An instance that `jogakbo serve` runs in this store: with a version if it runs beside the store's own process. */
export type ServedRecord = ServiceRecord;

export interface BackingRecord {
  kind: string;
  title: string;
  /** The name of its Docker container. */
  container?: string;
  url: string;
  managementUrl?: string;
  /** The folder of the certificates that it requires. */
  tls?: string;
  roots: ProcessIdentity[];
  since: number;
}

/** The last state written by the supervisor. Readers must check that its processes are still alive. */
export interface RunRecord {
  supervisor: ProcessIdentity;
  phase: 'starting' | 'ready' | 'stopping';
  /** Set if `jogakbo serve` runs only this service here, with backing services of its own. */
  onlyServes?: string;
  /** Whether all services share one process. */
  dense?: boolean;
  /** Set if the start named these services. */
  only?: string[];
  /** The workspace that was started. */
  workspace: string;
  /** Whether its services simulate external systems. */
  localMode?: boolean;
  publicUrl: string;
  port: number;
  since: number;
  services: ServiceRecord[];
  served?: ServedRecord[];
  /** Identity of the service databases, once they exist. */
  databasesIdentity?: string;
  broker?: BackingRecord;
  database?: BackingRecord;
}

const getPath = (state: Pick<StateFolder, 'folder'>) => join(state.folder, 'run.json');

export const readRun = (state: Pick<StateFolder, 'folder'>): RunRecord | undefined =>
  readJson<RunRecord>(getPath(state));

export const hasRun = (state: StateFolder): boolean => existsSync(getPath(state));

export const isSupervisorAlive = (run: RunRecord): boolean => isAlive(run.supervisor);

/** Creates the run record atomically. @returns false if another supervisor has already created it */
export const claimRun = (state: StateFolder, run: RunRecord): boolean =>
  createExclusively(getPath(state), run);

export const writeRun = (state: StateFolder, run: RunRecord): void => writeJson(getPath(state), run);

/**
 * Removes the run record of one supervisor. The record of another supervisor, which has claimed the folder in the meantime,
 * stays.
 * @param supervisor undefined removes a record that cannot be read
 */
export const forgetRun = (state: StateFolder, supervisor: ProcessIdentity | undefined): void =>
  removeIf<RunRecord>(getPath(state), (run) => {
    const found = run?.supervisor;
    return !found || (found.pid === supervisor?.pid && found.began === supervisor.began);
  });
