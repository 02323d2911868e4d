import { existsSync, linkSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isAlive, type ProcessIdentity } from './processes.ts';
import { readJson, type StateFolder, writeJson } from './state.ts';

/** `served` is the state of instances of `jogakbo serve`, all others of the store's own processes. */
export type ServiceState = 'starting' | 'ready' | 'waiting' | 'suspended' | 'stopped' | 'served';

export interface ServiceRecord {
  name: string;
  state: ServiceState;
  process?: ProcessIdentity;
  url?: string;
  since: number;
  restarts: number;
}

/** An instance that `jogakbo serve` runs in this store. */
export interface ServedRecord extends ServiceRecord {
  /** Set when it runs as another version beside the store's own process. */
  version?: string;
}

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
export function claimRun(state: StateFolder, run: RunRecord): boolean {
  const draft = `${getPath(state)}.${process.pid}.claim`;
  writeFileSync(draft, JSON.stringify(run, null, 2), { mode: 0o600 });
  try {
    linkSync(draft, getPath(state));
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  } finally {
    rmSync(draft, { force: true });
  }
}

export const writeRun = (state: StateFolder, run: RunRecord): void => writeJson(getPath(state), run);

/**
 * Removes the run record of one supervisor. The record of another supervisor, which has claimed the folder in the meantime,
 * stays.
 * @param supervisor undefined removes a record that cannot be read
 */
export function forgetRun(state: StateFolder, supervisor: ProcessIdentity | undefined): void {
  const path = getPath(state);
  // Moved before it is compared: between a comparison and a removal, another start could claim the folder.
  const moved = `${path}.${process.pid}.stale`;
  try {
    renameSync(path, moved);
  } catch {
    return; // another process has removed it
  }
  const found = readJson<RunRecord>(moved)?.supervisor;
  if (found && (found.pid !== supervisor?.pid || found.began !== supervisor.began)) {
    try {
      linkSync(moved, path);
    } catch {
      // a third process has claimed the folder
    }
  }
  rmSync(moved, { force: true });
}
