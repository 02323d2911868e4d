import { randomUUIDv7 } from 'node:crypto';
import { appendFileSync, existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import type { ContentPart } from '@jogakbo/delivery/src/content.ts';
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

/** What is written down when a deployment begins. */
export type NewDeployment = Pick<Deployment, 'service' | 'from' | 'to' | 'reason'> & {
  /** What the version is built of, if that is known. */
  parts?: readonly ContentPart[] | undefined;
};

/** The deployments to one environment. */
export interface DeploymentHistory {
  /** The oldest first. */
  read(): Promise<Deployment[]>;
  /** @returns the id */
  begin(deployment: NewDeployment): Promise<string>;
  end(deployment: EndedDeployment): Promise<void>;
}

export interface EndedDeployment {
  id: string;
  service: string;
  outcome: Exclude<DeploymentOutcome, 'running'>;
  /** Why it was rolled back or failed. */
  detail?: string | undefined;
}

/** The history in a state folder of this machine. The artefacts in it know what they are built of. */
export const openHistory = (state: StateFolder): DeploymentHistory => ({
  read: async () => readDeployments(state),
  begin: async ({ service, from, to, reason }) => beginDeployment(state, { service, from, to, reason }),
  end: async ({ id, outcome, detail }) => endDeployment(state, id, outcome, detail),
});

/** A deployment that begins now. */
export const createDeployment = ({ service, from, to, reason }: NewDeployment): Deployment => ({
  ...{ id: randomUUIDv7(), service, from, to, reason },
  ...{ by: getUserName(), startedAt: new Date().toISOString(), outcome: 'running' },
});

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
function beginDeployment(state: StateFolder, deployment: NewDeployment): string {
  const begun = createDeployment(deployment);
  append(state, begun);
  return begun.id;
}

function endDeployment(
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

/** The version that ran before the current one. The first deployment to an environment records which one that was. */
export function findPrevious(
  all: readonly Deployment[],
  service: string,
  current: string,
): string | undefined {
  const previous = listRecentVersions(all, service).find((version) => version !== current);
  return previous ?? all.findLast((one) => one.service === service && one.to === current)?.from;
}

/** @param holder who deploys, for people */
export const refuseSecondDeployment = (holder: string): CliError =>
  new CliError('Another command is deploying to this store.', {
    details: [holder],
    remedies: ['wait for it:  repeat the command with --wait', 'npx jogakbo history'],
  });

/**
 * Lets one command at a time deploy to a store. The lock of a killed command counts as released.
 * @param waitMs how long to wait for the other command
 * @returns releases the lock
 * @throws CliError if another command holds it
 */
export async function lockDeployments(state: StateFolder, waitMs = 0): Promise<() => Promise<void>> {
  const path = getLockFile(state);
  const own = identifyProcess(process.pid)!;
  for (const until = Date.now() + waitMs; ; await pause(200)) {
    if (createExclusively(path, own)) return async () => rmSync(path, { force: true });
    const holder = readJson<ProcessIdentity>(path);
    if (!isAlive(holder)) removeIf<ProcessIdentity>(path, (one) => !isAlive(one));
    else if (Date.now() >= until) throw refuseSecondDeployment(`process ${holder?.pid}`);
  }
}
