import { setTimeout as pause } from 'node:timers/promises';
import { type BackingService, maskPassword } from '../backing/backing-service.ts';
import { Backoff } from './backoff.ts';
import { ControlSocket } from './control-socket.ts';
import { CliError, toMessage } from '../terminal/cli-error.ts';
import { denseName, HostedService } from './dense-mode.ts';
import { LogFile, SplitLog } from './log-file.ts';
import { type BackingRecord, forgetRun, type RunRecord, type ServedRecord, writeRun } from './run-record.ts';
import { type Launch } from './service-launch.ts';
import { ServiceProcess } from './service-process.ts';
import { type State } from './state.ts';

/** Thrown by a start that was cancelled because the store is stopping. */
export class Stopped extends Error {}

type Role = 'broker' | 'database';

/** Owns all processes of a running store, restarts exited ones, and ends all of them on stop. */
export class Supervisor {
  readonly state: State;
  readonly ended: Promise<void>;
  readonly #run: RunRecord;
  readonly #onMessage: (text: string) => void;
  readonly #log: LogFile;
  readonly #services = new Map<string, ServiceProcess | HostedService>();
  /** The processes of the services: in dense mode one for all. */
  readonly #processes: ServiceProcess[] = [];
  readonly #backing = new Map<Role, BackingService>();
  readonly #since = new Map<Role, number>();
  readonly #starting = new Set<Promise<unknown>>();
  readonly #abort = new AbortController();
  #control?: ControlSocket;
  #stopping?: Promise<void>;
  #isForgotten = false;
  #resolveEnded!: () => void;

  constructor(state: State, run: RunRecord, onMessage: (text: string) => void) {
    this.state = state;
    this.#run = run;
    this.#onMessage = onMessage;
    this.#log = new LogFile(state.logs, 'supervisor');
    this.ended = new Promise((resolve) => (this.#resolveEnded = resolve));
  }

  get abort(): AbortSignal {
    return this.#abort.signal;
  }

  get run(): RunRecord {
    return this.#run;
  }

  report(text: string): void {
    this.#log.writeMessage(text);
    this.#onMessage(text);
  }

  /** Supervises a backing service from the beginning of its start. */
  async addBackingService(role: Role, starting: Promise<BackingService>): Promise<BackingService> {
    const kept = starting.then((service) => {
      this.#backing.set(role, service);
      this.#since.set(role, Date.now());
      this.saveRun();
      return service;
    });
    this.#starting.add(kept);
    const service = await kept.finally(() => this.#starting.delete(kept));
    this.#abort.signal.throwIfAborted();
    if (service.kind !== 'given') void this.#watch(role, service);
    return service;
  }

  addService(name: string, launch: Launch): ServiceProcess {
    const service = this.#addProcess(name, launch, new LogFile(this.state.logs, name));
    this.#services.set(name, service);
    return service;
  }

  /** Adds one process for all services. @param launches of each service, by its name */
  addDense(launch: Launch, launches: ReadonlyMap<string, Launch>): ServiceProcess {
    const logs = new Map([...launches.keys()].map((name) => [name, new LogFile(this.state.logs, name)]));
    const services: HostedService[] = [];
    const hosted = () => services.filter(({ isSuspended }) => !isSuspended).map((service) => service.hosted);
    const log = new SplitLog(this.state.logs, denseName, logs);
    const host = this.#addProcess(denseName, { ...launch, hosted }, log);
    for (const [name, own] of launches) {
      const service = new HostedService(name, own, host, () => this.saveRun());
      services.push(service);
      this.#services.set(name, service);
    }
    return host;
  }

  #addProcess(name: string, launch: Launch, log: LogFile): ServiceProcess {
    const added = new ServiceProcess(name, launch, log, {
      onMessage: (text) => this.report(text),
      onChange: () => this.saveRun(),
    });
    this.#processes.push(added);
    return added;
  }

  /**
   * Marks the store as ready, and lets other commands connect.
   * @param launchAdded prepares a service that was added after the start, and returns its launch command
   */
  setReady(launchAdded: (name: string) => Promise<Launch>): void {
    this.#run.state = 'ready';
    this.saveRun();
    const control = {
      getLaunch: async (name: string) => this.#services.get(name)?.launch ?? launchAdded(name),
      suspend: async (name: string) => {
        this.report(`jogakbo serve takes over ${name}`);
        await this.#services.get(name)?.suspend();
      },
      resume: async (name: string) => {
        if (this.abort.aborted) return;
        // In dense mode there is no other attempt.
        await this.#services
          .get(name)
          ?.resume()
          .catch((error: unknown) => {
            this.report(`${name} could not be started: ${toMessage(error)}`);
          });
      },
      restart: async (name: string) => {
        const service = this.#services.get(name);
        if (!service) throw new CliError(`The running store has no service called ${name}.`);
        this.report(`restarting ${name} as requested`);
        await service.restart();
      },
      showServed: (served: ServedRecord[]) => {
        this.#run.served = served;
        this.saveRun();
      },
    };
    this.#control = new ControlSocket(this.state, control, (error) =>
      this.report(`other commands cannot connect to this store: ${error.message}`),
    );
  }

  /** Writes the record of this store, from which other commands know its processes. */
  saveRun(): void {
    if (this.#isForgotten) return;
    this.#run.services = [...this.#services.values()].map((service) => service.toRecord());
    this.#run.broker = this.#findRecord('broker');
    this.#run.database = this.#findRecord('database');
    writeRun(this.state, this.#run);
  }

  #findRecord(role: Role): BackingRecord | undefined {
    const service = this.#backing.get(role);
    if (!service) return undefined;
    const { kind, title, url, managementUrl, tls } = service;
    return {
      kind,
      title,
      url: maskPassword(tls ? url.split('?')[0]! : url),
      managementUrl,
      tls,
      roots: service.roots(),
      since: this.#since.get(role)!,
    };
  }

  async #watch(role: Role, service: BackingService): Promise<void> {
    const backoff = new Backoff();
    // Each check of Docker spawns a process.
    const interval = service.kind === 'docker' ? 5_000 : 500;
    while (await this.#pause(interval)) {
      if (await service.isAlive()) continue;
      if (this.#stopping) return;
      const delay = backoff.getNextDelay(Date.now() - this.#since.get(role)!);
      this.report(`the ${role} ended; starting it again in ${delay / 1000} s`);
      if (!(await this.#pause(delay))) return;
      const restart = service.restart();
      this.#starting.add(restart);
      try {
        await restart;
        this.report(`the ${role} is back`);
      } catch (error) {
        this.report(`the ${role} could not be started: ${toMessage(error)}`);
      }
      this.#starting.delete(restart);
      this.#since.set(role, Date.now());
      this.saveRun();
    }
  }

  /** Resolves to false if the store stops in the meantime. */
  #pause(milliseconds: number): Promise<boolean> {
    return pause(milliseconds, true, { signal: this.#abort.signal }).catch(() => false);
  }

  /** Stops the services first, then broker and database, which they depend on. Further calls wait for the same stop. */
  stop(): Promise<void> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  /** Kills all processes at once, after a second stop signal of the user. */
  async force(): Promise<void> {
    this.report('stopping at once');
    await Promise.all(this.#processes.map((service) => service.stop(true)));
    await Promise.all([...this.#backing.values()].map((service) => service.stop(true)));
    await this.stop();
  }

  async #stop(): Promise<void> {
    this.#run.state = 'stopping';
    this.#abort.abort(new Stopped('the store is stopping'));
    this.#control?.close();
    this.saveRun();
    const services = [...this.#services.values()];
    const running = services.filter((service) => service.toRecord().process);
    if (running.length) this.report(`stopping ${running.map(({ name }) => name).join(', ')}`);
    await Promise.all(this.#processes.map((service) => service.stop()));
    await Promise.allSettled(this.#starting);
    const own = [...this.#backing].filter(([, service]) => service.kind !== 'given');
    if (own.length) this.report(`stopping the ${own.map(([role]) => role).join(' and the ')}`);
    await Promise.all(
      own.map(async ([role, service]) => {
        await service.stop();
        this.#log.writeMessage(`the ${role} has stopped`);
      }),
    );
    this.#isForgotten = true;
    forgetRun(this.state, this.#run.supervisor);
    this.report('stopped; no process is left');
    this.#resolveEnded();
  }
}
