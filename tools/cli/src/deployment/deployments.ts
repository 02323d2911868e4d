import { randomUUIDv7 } from 'node:crypto';
import { appendFileSync, existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { CliError } from '../terminal/cli-error.ts';
import { getUserName } from '../supervisor/audit-log.ts';
import { identifyProcess, isAlive, type ProcessIdentity } from '../supervisor/processes.ts';
import { createExclusively, readJson, removeIf, type StateFolder } from '../supervisor/state.ts';

export type DeploymentOutcome = 'running' | 'promoted' | 'rolled back' | 'failed' | 'interrupted';

/** One deployment of one service. */
export interface Deployment {
  id: string;
  service: string;
  /** Undefined for a service that did not run before. */
  from?: string | undefined;
  to: string;
  by: string;
  reason: string;
  startedAt: string;
  outcome: DeploymentOutcome;
  endedAt?: string;
  /** Why it was rolled back or failed. */
  detail?: string;
}

const getHistoryFile = ({ folder }: StateFolder): string => join(folder, 'deployments.jsonl');
const getLockFile = ({ folder }: StateFolder): string => join(folder, 'deploy.lock');

/** Reads all deployments, the oldest first. A line that a crash has cut off is ignored. */
export function readDeployments(state: StateFolder): Deployment[] {
  const file = getHistoryFile(state);
  if (!existsSync(file)) return [];
  const all = new Map<string, Deployment>();
  for (const line of readFileSync(file, 'utf8').split('\n')) {
    try {
      const part = JSON.parse(line) as Deployment;
      all.set(part.id, { ...all.get(part.id), ...part });
    } catch {
      continue;
    }
  }
  return [...all.values()];
}

const append = (state: StateFolder, part: Partial<Deployment> & { id: string }): void =>
  appendFileSync(getHistoryFile(state), `${JSON.stringify(part)}\n`, { mode: 0o600 });

/** Records the begin of a deployment. @returns its id */
export function beginDeployment(
  state: StateFolder,
  deployment: Pick<Deployment, 'service' | 'from' | 'to' | 'reason'>,
): string {
  const id = randomUUIDv7();
  const startedAt = new Date().toISOString();
  append(state, { id, ...deployment, by: getUserName(), startedAt, outcome: 'running' });
  return id;
}

export function endDeployment(
  state: StateFolder,
  id: string,
  outcome: Exclude<DeploymentOutcome, 'running'>,
  detail?: string,
): void {
  append(state, { id, outcome, endedAt: new Date().toISOString(), ...(detail && { detail }) });
}

/** Records the versions that a start of the store runs, if they differ from the last ones. */
export function recordStart(state: StateFolder, versions: ReadonlyMap<string, string>): void {
  for (const [service, to] of versions) {
    const from = findCurrent(readDeployments(state), service);
    if (from === to) continue;
    endDeployment(
      state,
      beginDeployment(state, { service, from, to, reason: 'start of the store' }),
      'promoted',
    );
  }
}

/** The version that was deployed last. */
export const findCurrent = (all: readonly Deployment[], service: string): string | undefined =>
  listRecentVersions(all, service)[0];

/** The versions that ran, each once, the latest first. */
export function listRecentVersions(all: readonly Deployment[], service: string): string[] {
  const ran = all.filter((one) => one.service === service && one.outcome === 'promoted');
  return [...new Set(ran.map(({ to }) => to).reverse())];
}

/** The version that ran before the current one. */
export const findPrevious = (
  all: readonly Deployment[],
  service: string,
  current: string,
): string | undefined => listRecentVersions(all, service).find((version) => version !== current);

/**
 * Lets one command at a time deploy to a store. The lock of a killed command counts as released.
 * @param waitMs how long to wait for the other command
 * @returns releases the lock
 * @throws CliError if another command holds it
 */
export async function lockDeployments(state: StateFolder, waitMs = 0): Promise<() => void> {
  const path = getLockFile(state);
  const own = identifyProcess(process.pid)!;
  for (const until = Date.now() + waitMs; ; await pause(200)) {
    if (createExclusively(path, own)) return () => rmSync(path, { force: true });
    const holder = readJson<ProcessIdentity>(path);
    if (!isAlive(holder)) removeIf<ProcessIdentity>(path, (one) => !isAlive(one));
    else if (Date.now() >= until)
      throw new CliError('Another command is deploying to this store.', {
        details: [`process ${holder?.pid}`],
        remedies: ['wait for it:  repeat the command with --wait', 'npx jogakbo history'],
      });
  }
}
