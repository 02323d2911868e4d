import type { Traffic } from './compare-versions.ts';

/** A version of a service that can be started. */
export interface Release {
  service: string;
  version: string;
}

/** What one version of a service does, as measured at one moment. */
export interface VersionState {
  /** Running processes, and those of them that are ready. */
  instances: number;
  ready: number;
  /** How often its processes have ended unexpectedly. */
  restarts: number;
  /** Bytes of its largest process. */
  memory: number;
  /** Everything that its processes have handled since they started. */
  traffic: Traffic;
}

/** Routes a share of the calls to a version, as in `Engine`. */
export type ShiftCalls = (release: Release, percent: number) => Promise<boolean>;

/** A version did not become ready: why, and the last lines of its log. */
export class NotReady extends Error {
  readonly lines: readonly string[];

  constructor(reason: string, lines: readonly string[] = []) {
    super(reason);
    this.name = 'NotReady';
    this.lines = lines;
  }
}

/**
 * What runs the versions of a service: the store on this machine, Docker, or Kubernetes. During a rollout the current version
 * and the new one run side by side.
 */
export interface Engine {
  /** For people: where it deploys to. */
  readonly environment: string;
  /** Migrates, and starts the version beside the current one, with as many processes. @throws NotReady */
  start(release: Release): Promise<void>;
  /**
   * Routes a share of the calls to the version; all other versions share the rest.
   * @param percent 0 to 100; 0 ends the split
   * @returns false if calls to this service cannot be split: both versions share them evenly
   */
  shift(release: Release, percent: number): Promise<boolean>;
  /** Measures the running versions of a service, by version. */
  measure(service: string): Promise<Map<string, VersionState>>;
  /** Makes the version the current one, and drains and ends the others. */
  promote(release: Release): Promise<void>;
  /** Drains and ends the version. The current one keeps running. Does nothing if the version does not run. */
  withdraw(release: Release): Promise<void>;
}
