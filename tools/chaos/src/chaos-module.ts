import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { readWorkspaceConfig } from '@jogakbo/contract/workspace';
import { type FaultWindows, type Violation } from './violation.ts';
import { type ClientLog, type LoggedRequest } from './client-log.ts';
import { type Facts, type OutboxFact } from './facts.ts';
import { type Mutant } from './mutant.ts';
import { repository, type Store } from './store.ts';

/** Clients that use the store during a run. */
export interface Workload {
  /** Creates what the clients need, and starts them. */
  open(): Promise<void>;
  /** Starts no new requests. Resolves when all open requests have their final response. */
  close(): Promise<unknown>;
  /** Stops repeating open requests. */
  abort(): Promise<unknown>;
}

export interface WorkloadOptions<R extends LoggedRequest> {
  store: Store;
  log: ClientLog<R>;
  /** The same seed has to send the same requests. */
  seed: number;
  /** Number of clients that send requests at the same time. */
  clients: number;
}

/**
 * What chaos needs to know about a product: its workload, and the rules that hold after it. `chaos` of
 * `jogakbo.config.ts` names the module whose default export this is.
 */
export interface ChaosModule<R extends LoggedRequest = LoggedRequest, F extends object = object> {
  /** Environment variables of all services during a run. */
  settings: Record<string, string>;
  createWorkload(options: WorkloadOptions<R>): Workload;
  /** Reads the state of the services from their databases. Called until all rules hold. */
  readFacts(store: Store): Promise<F>;
  /** Compares the requests of the clients with the state of the store. A pure function. */
  check(requests: readonly R[], facts: Facts & F, faultWindows: FaultWindows): Violation[];
  /** Violations of these rules do not disappear with time. */
  permanentRules: readonly string[];
  /** Subjects whose messages are checked one by one, by id. */
  listSubjects(facts: F): ReadonlySet<string>;
  /** Whether a message is published when it is due, not in order. */
  isDelayed(message: Pick<OutboxFact, 'service' | 'name'>): boolean;
  /** Messages that may be published more than once per subject, by name. */
  repeatable: ReadonlySet<string>;
  /** All facts about a subject, for the analysis of a violation. */
  collectEvidence(subject: string, requests: readonly R[], facts: F): unknown[];
  /** What the clients have achieved so far, such as `12 purchases`. */
  formatProgress(requests: readonly R[]): string;
  /** Lines of the report after a run. */
  summarize(requests: readonly R[], facts: F): string[];
  /** Defects of the services that the rules must find. */
  mutants: Record<string, Mutant>;
  /** Services that publish many messages during the workload. Defects of the outbox show there. */
  busyServices: readonly string[];
}

/** @returns undefined if `jogakbo.config.ts` names no such module */
export async function importChaosModule(): Promise<ChaosModule | undefined> {
  const { chaos } = await readWorkspaceConfig(repository);
  if (chaos === undefined) return undefined;
  return ((await import(pathToFileURL(join(repository, chaos)).href)) as { default: ChaosModule }).default;
}
