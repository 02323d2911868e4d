import { setTimeout as pause } from 'node:timers/promises';
import { type BackingService, maskPassword } from '../backing/backing-service.ts';
import { Backoff } from './backoff.ts';
import { ControlSocket } from './control-socket.ts';
import { toMessage } from '../terminal/cli-error.ts';
import { denseName, DenseService } from './dense-mode.ts';
import { LogFile, DemultiplexedLog } from './log-file.ts';
import { type BackingRecord, forgetRun, type RunRecord, writeRun } from './run-record.ts';
import { type LaunchCommand } from './service-launch.ts';
import { ServiceProcess } from './service-process.ts';
import { ServiceVersions } from './service-versions.ts';
import { type StateFolder } from './state.ts';
import { Stopped } from './stopped.ts';
import { type Preparation, RunningStore } from './store-control.ts';

type Role = 'broker' | 'database';

/** Owns all processes of a running store, restarts exited ones, and ends all of them on stop. */
export class Supervisor {
  readonly stateFolder: StateFolder;
  readonly ended: Promise<void>;
  readonly #run: RunRecord;
  readonly #onMessage: (text: string) => void;
  readonly #log: LogFile;
  readonly #services = new Map<string, ServiceVersions | DenseService>();
  /** In dense mode, the one process of all services. */
  #denseHost?: ServiceProcess;
  readonly #backing = new Map<Role, BackingService>();
  readonly #since = new Map<Role, number>();
  readonly #afterRestart = new Map<Role, () => Promise<unknown>>();
  readonly #backingStarts = new Set<Promise<unknown>>();
  readonly #abort = new AbortController();
  #control?: ControlSocket;
  #stopping?: Promise<void>;
  #isForgotten = false;
  #resolveEnded!: () => void;

  constructor(state: StateFolder, run: RunRecord, onMessage: (text: string) => void) {
    this.stateFolder = state;
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

  /** What has to follow a restart of a backing service before it counts as running again. */
  onRestarted(role: Role, work: () => Promise<unknown>): void {
    this.#afterRestart.set(role, work);
  }

  /** Supervises a backing service from the beginning of its start. */
  async addBackingService(role: Role, starting: Promise<BackingService>): Promise<BackingService> {
    const kept = starting.then((service) => {
      this.#backing.set(role, service);
      this.#since.set(role, Date.now());
      this.saveRun();
      return service;
    });
    this.#backingStarts.add(kept);
    const service = await kept.finally(() => this.#backingStarts.delete(kept));
    this.#abort.signal.throwIfAborted();
    if (service.kind !== 'external') void this.#watch(role, service);
    return service;
  }

  /** @throws Stopped if the store is stopping: that stop would not end the process */
  addService(
    name: string,
    version: string,
    launch: LaunchCommand,
    log = new LogFile(this.stateFolder.logs, name),
  ): ServiceVersions {
    this.#abort.signal.throwIfAborted();
    const spawn = (command: LaunchCommand) => this.#createProcess(name, command, log);
    const service = new ServiceVersions(name, version, launch, spawn, () => this.saveRun());
    this.#services.set(name, service);
    return service;
  }

  /** Forgets a service whose processes have ended. */
  removeService(name: string): void {
    this.#services.delete(name);
    this.saveRun();
  }

  /** Adds one process for all services. @param launches of each service, by its name */
  addDense(launch: LaunchCommand, launches: ReadonlyMap<string, LaunchCommand>): ServiceProcess {
    const logs = new Map(
      [...launches.keys()].map((name) => [name, new LogFile(this.stateFolder.logs, name)]),
    );
    const services: DenseService[] = [];
    const listDenseServices = () =>
      services.filter(({ isSuspended }) => !isSuspended).map((service) => service.request);
    const log = new DemultiplexedLog(this.stateFolder.logs, denseName, logs);
    const host = this.#createProcess(denseName, { ...launch, listDenseServices }, log);
    this.#denseHost = host;
    for (const [name, own] of launches) {
      const service = new DenseService(name, own, host, () => this.saveRun());
      services.push(service);
      this.#services.set(name, service);
    }
    return host;
  }

  #createProcess(name: string, launch: LaunchCommand, log: LogFile): ServiceProcess {
    this.#abort.signal.throwIfAborted();
    return new ServiceProcess(name, launch, log, {
      onMessage: (text) => this.report(text),
      onChange: () => this.saveRun(),
    });
  }

  /** Ends the processes of all services. */
  async #stopServices(force = false): Promise<void> {
    const all = [...this.#services.values()].filter((service) => service instanceof ServiceVersions);
    await Promise.all([this.#denseHost, ...all].map((one) => one?.stop(force)));
  }

  /** Marks the store as ready, and lets other commands connect. */
  setReady(preparation: Preparation): void {
    this.#run.phase = 'ready';
    this.saveRun();
    const control = new RunningStore(this, this.#services, preparation);
    this.#control = new ControlSocket(this.stateFolder, control, (error) =>
      this.report(`other commands cannot connect to this store: ${error.message}`),
    );
  }

  /** Writes the record of this store, from which other commands know its processes. */
  saveRun(): void {
    if (this.#isForgotten) return;
    this.#run.services = [...this.#services.values()].flatMap((service) => service.toRecords());
    this.#run.broker = this.#findRecord('broker');
    this.#run.database = this.#findRecord('database');
    writeRun(this.stateFolder, this.#run);
  }

  #findRecord(role: Role): BackingRecord | undefined {
    const service = this.#backing.get(role);
    if (!service) return undefined;
    const { kind, title, container, url, managementUrl, tls } = service;
    return {
      kind,
      title,
      container,
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
    const interval = service.kind === 'container' ? 5_000 : 500;
    let isRestored = true;
    while (await this.#pause(interval)) {
      const alive = await service.isAlive();
      if (alive && isRestored) continue;
      if (this.#stopping) return;
      const delay = backoff.getNextDelay(Date.now() - this.#since.get(role)!);
      this.report(
        `the ${role} ${alive ? 'is not prepared; preparing it' : 'ended; starting it'} again in ${delay / 1000} s`,
      );
      if (!(await this.#pause(delay))) return;
      const restart = this.#restartBacking(role, service);
      this.#backingStarts.add(restart);
      isRestored = await restart;
      this.#backingStarts.delete(restart);
      this.#since.set(role, Date.now());
      this.saveRun();
    }
  }

  /** @returns false if it did not start, or if what has to follow failed; the next call repeats only what is missing */
  async #restartBacking(role: Role, service: BackingService): Promise<boolean> {
    try {
      if (!(await service.isAlive())) await service.start();
      await this.#afterRestart.get(role)?.();
      this.report(`the ${role} is back`);
      return true;
    } catch (error) {
      const what = (await service.isAlive()) ? 'prepared' : 'started';
      this.report(`the ${role} could not be ${what}: ${toMessage(error)}`);
      return false;
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
    await this.#stopServices(true);
    await Promise.all([...this.#backing.values()].map((service) => service.stop(true)));
    await this.stop();
  }

  async #stop(): Promise<void> {
    this.#run.phase = 'stopping';
    this.#abort.abort(new Stopped('the store is stopping'));
    this.#control?.close();
    this.saveRun();
    const running = this.#run.services.filter(({ process }) => process).map(({ name }) => name);
    if (running.length) this.report(`stopping ${[...new Set(running)].join(', ')}`);
    await this.#stopServices();
    await Promise.allSettled(this.#backingStarts);
    const own = [...this.#backing].filter(([, service]) => service.kind !== 'external');
    if (own.length) this.report(`stopping the ${own.map(([role]) => role).join(' and the ')}`);
    await Promise.all(
      own.map(async ([role, service]) => {
        await service.stop();
        this.#log.writeMessage(`the ${role} has stopped`);
      }),
    );
    this.#isForgotten = true;
    forgetRun(this.stateFolder, this.#run.supervisor);
    this.report('stopped; no process is left');
    this.#resolveEnded();
  }
}
