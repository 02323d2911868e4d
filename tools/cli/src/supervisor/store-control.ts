import { NotReady } from '@jogakbo/delivery/src/engine.ts';
import { CliError, toMessage } from '../terminal/cli-error.ts';
import { type LocalRelease, type StoreControl } from './control-socket.ts';
import { type DenseService } from './dense-mode.ts';
import { type RunRecord, type ServedRecord } from './run-record.ts';
import { type LaunchCommand } from './service-launch.ts';
import { EarlyExit } from './service-process.ts';
import { ServiceVersions } from './service-versions.ts';
import { Stopped } from './stopped.ts';

/** What has to happen before a process of a service can start. */
export interface Preparation {
  /** Prepares a service that was added after the start, and returns its launch command. */
  prepareAdded(service: string): Promise<LaunchCommand>;
  /** Permits what the version does on the bus beside what the current one does, migrates, and returns its launch command. */
  prepareVersion(release: LocalRelease): Promise<LaunchCommand>;
  /** Notes that the version of `prepareVersion` is the current one. */
  promote(service: string): void;
  /** Permits only what the current version of the service does on the bus. */
  settlePermissions(service: string): Promise<void>;
  /** Ends the permissions of a service that has stopped for good. */
  retire(service: string): Promise<void>;
}

/** The part of the supervisor that the operations need. */
export interface SupervisedStore {
  readonly abort: AbortSignal;
  readonly run: RunRecord;
  report(text: string): void;
  saveRun(): void;
  addService(name: string, version: string, launch: LaunchCommand): ServiceVersions;
  removeService(name: string): void;
}

/** For a store that runs no further services. */
export function createNoPreparation(reason: string): Preparation {
  const refuse = () => Promise.reject(new CliError(reason));
  return {
    prepareAdded: refuse,
    prepareVersion: refuse,
    settlePermissions: refuse,
    retire: refuse,
    promote: () => undefined,
  };
}

/** The operations that a running store offers to other commands. */
export class RunningStore implements StoreControl {
  readonly #supervisor: SupervisedStore;
  readonly #services: ReadonlyMap<string, ServiceVersions | DenseService>;
  readonly #preparation: Preparation;

  constructor(
    supervisor: SupervisedStore,
    services: ReadonlyMap<string, ServiceVersions | DenseService>,
    preparation: Preparation,
  ) {
    this.#supervisor = supervisor;
    this.#services = services;
    this.#preparation = preparation;
  }

  async getLaunchCommand(name: string): Promise<LaunchCommand> {
    return this.#services.get(name)?.launch ?? this.#preparation.prepareAdded(name);
  }

  async suspend(name: string): Promise<void> {
    this.#supervisor.report(`jogakbo serve takes over ${name}`);
    await this.#services.get(name)?.suspend();
  }

  async resume(name: string): Promise<void> {
    if (this.#supervisor.abort.aborted) return;
    try {
      await this.#services.get(name)?.resume();
    } catch (error) {
      // In dense mode there is no other attempt.
      this.#supervisor.report(`${name} could not be started: ${toMessage(error)}`);
    }
  }

  async restart(name: string): Promise<void> {
    const service = this.#services.get(name) ?? rejectUnknown(name);
    this.#supervisor.report(`restarting ${name} as requested`);
    await service.restart();
  }

  async scale(name: string, count: number): Promise<void> {
    const service = this.#getVersions(name);
    this.#supervisor.report(`${name}: ${count} instances as requested`);
    await service.scale(count).catch(toNotReady);
  }

  async startVersion(release: LocalRelease): Promise<void> {
    const { service: name, version } = release;
    const known = this.#services.has(name) ? this.#getVersions(name) : undefined;
    this.#supervisor.report(`deploying ${name} ${version}`);
    const launch = await this.#preparation.prepareVersion(release);
    const starting = known ? known.startCandidate(version, launch) : this.#startNew(name, version, launch);
    await starting.catch(toNotReady);
  }

  /** A service that did not run before has no version to run beside. */
  async #startNew(name: string, version: string, launch: LaunchCommand): Promise<void> {
    const added = this.#supervisor.addService(name, version, launch);
    try {
      await added.start();
    } catch (error) {
      this.#supervisor.removeService(name);
      throw error;
    }
  }

  async promote(name: string, version: string): Promise<void> {
    const service = this.#getVersions(name);
    if (service.candidate || service.version !== version) await service.promote(version);
    this.#preparation.promote(name);
    this.#supervisor.report(`${name} runs version ${version}`);
    await this.#preparation.settlePermissions(name);
  }

  async withdraw(name: string): Promise<void> {
    if (this.#supervisor.abort.aborted || !this.#services.has(name)) return;
    const service = this.#getVersions(name);
    if (service.candidate) this.#supervisor.report(`${name} ${service.candidate} is withdrawn`);
    await service.withdraw();
    await this.#preparation.settlePermissions(name);
  }

  async retire(name: string): Promise<void> {
    const service = this.#getVersions(name);
    this.#supervisor.report(`${name} is removed`);
    await service.stop();
    this.#supervisor.removeService(name);
    await this.#preparation.retire(name);
  }

  recordServed(served: ServedRecord[]): void {
    this.#supervisor.run.served = served;
    this.#supervisor.saveRun();
  }

  #getVersions(name: string): ServiceVersions {
    const service = this.#services.get(name) ?? rejectUnknown(name);
    if (service instanceof ServiceVersions) return service;
    throw new CliError('In dense mode all services share one process, which runs one version of each.', {
      remedies: ['start the store without --dense'],
    });
  }
}

function rejectUnknown(name: string): never {
  throw new CliError(`The running store has no service called ${name}.`);
}

function toNotReady(error: unknown): never {
  if (error instanceof EarlyExit) throw new NotReady(error.message, error.lastLines);
  if (error instanceof Stopped) throw new CliError('The store is stopping.');
  throw error;
}
