import { localEnvironment, readWorkspaceConfig } from '@jogakbo/contract/workspace';
import type { ServiceContent } from '@jogakbo/delivery/src/content.ts';
import type { Engine, Release } from '@jogakbo/delivery/src/engine.ts';
import type { RunningVersion } from '@jogakbo/delivery/src/plan.ts';
import { UsageError } from '../terminal/cli-error.ts';
import { root } from '../workspace.ts';
import type { DeploymentHistory } from './deployments.ts';

/** A place to deploy to: its engine, and what all deployments to it share. */
export interface Environment {
  readonly name: string;
  readonly history: DeploymentHistory;
  /** Where operators have sessions: the gateway at `url`, by default that of the store on this machine. Undefined if nowhere. */
  readonly gateway: { url?: string } | undefined;
  /** Whether it ends by itself what a killed command has started. */
  readonly undoesItself: boolean;
  /** Seconds for which each step of a rollout is observed, if the command does not say so. */
  readonly watchSeconds: number;
  /** @throws CliError if it cannot be reached, or nothing can be deployed to it */
  assertReady(): Promise<void>;
  /** The current version of each service, with what it is built of if that is known. */
  readRunning(): Promise<Map<string, RunningVersion>>;
  /** Lets one command at a time deploy. @returns releases the lock @throws CliError if another command holds it */
  lock(waitMs?: number): Promise<() => Promise<void>>;
  /** Makes what `start` of the engine needs from services that are built in the workspace. */
  prepare(contents: readonly ServiceContent[]): Promise<void>;
  /** Finds out why a version of earlier cannot be started again; undefined if it can. */
  findMissing(release: Release): Promise<string | undefined>;
  /** Megabytes that a process of the version may use, as its service declares. */
  getMemory(release: Release): number | undefined;
  /** Opens the engine for the duration of `work`. */
  open<T>(work: (engine: Engine) => Promise<T>): Promise<T>;
  /** Sets the number of instances. @returns until when, for people */
  scale(service: string, count: number): Promise<string>;
}

/**
 * Opens an environment of jogakbo.config.ts. Each engine is loaded only if it is needed: the client of Kubernetes takes a
 * second.
 * @param name by default the store on this machine @throws UsageError if it is not declared
 */
export async function openEnvironment(name = localEnvironment): Promise<Environment> {
  if (name === localEnvironment) return (await import('./local-environment.ts')).openLocalEnvironment();
  const config = await readWorkspaceConfig(root);
  const declared = config.environments[name];
  if (!declared)
    throw new UsageError(`There is no environment ${name}.`, {
      remedies: [
        `one of ${[localEnvironment, ...Object.keys(config.environments)].join(', ')}`,
        'declare it in jogakbo.config.ts: "environments"',
      ],
    });
  if (declared.engine === 'docker')
    return (await import('./docker-environment.ts')).openDockerEnvironment(name, declared, config);
  return (await import('./kubernetes-environment.ts')).openKubernetesEnvironment(name, declared, config);
}
