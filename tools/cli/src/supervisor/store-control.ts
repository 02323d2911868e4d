import { NotReady } from '@jogakbo/delivery/src/engine.ts';
import { CliError, toMessage } from '../terminal/cli-error.ts';
import { type LocalRelease, type StoreControl } from './control-socket.ts';
import { type DenseService } from './dense-mode.ts';
import { type LaunchCommand } from './service-launch.ts';
import { EarlyExit } from './service-process.ts';
import { ServiceVersions } from './service-versions.ts';
import { Stopped, type Supervisor } from './supervisor.ts';

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
}

/** For a store that runs no further services. */
export function createNoPreparation(reason: string): Preparation {
  const refuse = () => Promise.reject(new CliError(reason));
  return {
    prepareAdded: refuse,
    prepareVersion: refuse,
    settlePermissions: refuse,
    promote: () => undefined,
  };
}

/** The operations that a running store offers to other commands. */
export function createStoreControl(
  supervisor: Supervisor,
  services: ReadonlyMap<string, ServiceVersions | DenseService>,
  preparation: Preparation,
): StoreControl {
  const report = (text: string) => supervisor.report(text);
  const get = (name: string) => {
    const service = services.get(name);
    if (!service) throw new CliError(`The running store has no service called ${name}.`);
    return service;
  };
  const getVersions = (name: string): ServiceVersions => {
    const service = get(name);
    if (service instanceof ServiceVersions) return service;
    throw new CliError('In dense mode all services share one process, which runs one version of each.', {
      remedies: ['start the store without --dense'],
    });
  };
  return {
    getLaunchCommand: async (name) => services.get(name)?.launch ?? preparation.prepareAdded(name),
    suspend: async (name) => {
      report(`jogakbo serve takes over ${name}`);
      await services.get(name)?.suspend();
    },
    resume: async (name) => {
      if (supervisor.abort.aborted) return;
      // In dense mode there is no other attempt.
      await services
        .get(name)
        ?.resume()
        .catch((error: unknown) => report(`${name} could not be started: ${toMessage(error)}`));
    },
    restart: async (name) => {
      const service = get(name);
      report(`restarting ${name} as requested`);
      await service.restart();
    },
    scale: async (name, count) => {
      const service = getVersions(name);
      report(`${name}: ${count} instances as requested`);
      await service.scale(count).catch(toNotReady);
    },
    startVersion: async (release) => {
      const { service: name, version } = release;
      if (services.has(name)) getVersions(name);
      report(`deploying ${name} ${version}`);
      const launch = await preparation.prepareVersion(release);
      const known = services.get(name);
      await (known ? getVersions(name).startCandidate(version, launch) : addNew(name, version, launch)).catch(
        toNotReady,
      );
    },
    promote: async (name, version) => {
      const service = getVersions(name);
      if (service.candidate || service.version !== version) await service.promote(version);
      preparation.promote(name);
      report(`${name} runs version ${version}`);
      await preparation.settlePermissions(name);
    },
    withdraw: async (name) => {
      if (supervisor.abort.aborted || !services.has(name)) return;
      const service = getVersions(name);
      if (service.candidate) report(`${name} ${service.candidate} is withdrawn`);
      await service.withdraw();
      await preparation.settlePermissions(name);
    },
    recordServed: (served) => {
      supervisor.run.served = served;
      supervisor.saveRun();
    },
  };

  /** A service that did not run before has no version to compare with. */
  async function addNew(name: string, version: string, launch: LaunchCommand): Promise<void> {
    const added = supervisor.addService(name, version, launch);
    try {
      await added.start();
    } catch (error) {
      supervisor.removeService(name);
      throw error;
    }
  }
}

function toNotReady(error: unknown): never {
  if (error instanceof EarlyExit) throw new NotReady(error.message, error.lastLines);
  if (error instanceof Stopped) throw new CliError('The store is stopping.');
  throw error;
}
