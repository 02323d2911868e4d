import { type Server } from 'node:net';
import { type BackingService, withoutPassword } from '../backing/backing-service.ts';
import { Backoff } from './backoff.ts';
import { openControl } from './control-socket.ts';
import { CliError, toMessage } from '../terminal/cli-error.ts';
import { LogFile } from './log-file.ts';
import { type BackingRecord, forgetRun, type RunRecord, writeRun } from './run-record.ts';
import { type Launch } from './service-launch.ts';
import { ServiceProcess } from './service-process.ts';
import { type State } from './state.ts';

/** The start was given up because the store is to stop. */
export class Stopped extends Error {}

type Role = 'broker' | 'database';

/** Owns every process of a running store, starts again what dies, and at the end leaves nothing behind. */
export class Supervisor {
  readonly state: State;
  readonly ended: Promise<void>;
  readonly #run: RunRecord;
  readonly #tell: (text: string) => void;
  readonly #log: LogFile;
  readonly #services = new Map<string, ServiceProcess>();
  readonly #backing = new Map<Role, BackingService>();
  readonly #since = new Map<Role, number>();
  readonly #arriving = new Set<Promise<unknown>>();
  readonly #abort = new AbortController();
  #adopt!: (name: string) => Promise<Launch>;
  #control?: Server;
  #stopping?: Promise<void>;
  #isForgotten = false;
  #isOver!: () => void;

  constructor(state: State, run: RunRecord, tell: (text: string) => void) {
    this.state = state;
    this.#run = run;
    this.#tell = tell;
    this.#log = new LogFile(state.logs, 'supervisor');
    this.ended = new Promise((resolve) => (this.#isOver = resolve));
  }

  get abort(): AbortSignal {
    return this.#abort.signal;
  }

  get run(): RunRecord {
    return this.#run;
  }

  say(text: string): void {
    this.#log.say(text);
    this.#tell(text);
  }

  /** Takes charge of a backing service from the moment it begins to start. */
  async backing(role: Role, arrival: Promise<BackingService>): Promise<BackingService> {
    const kept = arrival.then((service) => {
      this.#backing.set(role, service);
      this.#since.set(role, Date.now());
      this.record();
      return service;
    });
    this.#arriving.add(kept);
    const service = await kept.finally(() => this.#arriving.delete(kept));
    this.#abort.signal.throwIfAborted();
    if (service.kind !== 'given') void this.#watch(role, service);
    return service;
  }

  addService(name: string, launch: Launch): ServiceProcess {
    const service = new ServiceProcess(name, launch, new LogFile(this.state.logs, name), {
      said: (text) => this.say(text),
      changed: () => this.record(),
    });
    this.#services.set(name, service);
    return service;
  }

  /** @param adopt prepares a service that was not started with the store, and says how it is started */
  becomeReady(adopt: (name: string) => Promise<Launch>): void {
    this.#adopt = adopt;
    this.#run.state = 'ready';
    this.record();
    this.#control = openControl(this.state, {
      prepareLaunch: async (name) => this.#services.get(name)?.launch ?? this.#adopt(name),
      take: async (name) => {
        this.say(`${name} is taken over by jogakbo serve`);
        await this.#services.get(name)?.yieldTo();
      },
      giveBack: async (name) => {
        if (!this.#stopping) await this.#services.get(name)?.resume();
      },
      restart: async (name) => {
        const service = this.#services.get(name);
        if (!service) throw new CliError(`The running store has no service called ${name}.`);
        this.say(`${name} is started again, as asked`);
        await service.restart();
      },
      showServed: (served) => {
        this.#run.served = served;
        this.record();
      },
    });
  }

  record(): void {
    if (this.#isForgotten) return;
    this.#run.services = [...this.#services.values()].map((service) => service.record());
    this.#run.broker = this.#findRecord('broker');
    this.#run.database = this.#findRecord('database');
    writeRun(this.state, this.#run);
  }

  #findRecord(role: Role): BackingRecord | undefined {
    const service = this.#backing.get(role);
    if (!service) return undefined;
    const { kind, title, url, managementUrl, tls } = service;
    return {
      ...{ kind, title, url: withoutPassword(tls ? url.split('?')[0]! : url), managementUrl, tls },
      ...{ roots: service.roots(), since: this.#since.get(role)! },
    };
  }

  async #watch(role: Role, service: BackingService): Promise<void> {
    const backoff = new Backoff();
    // Asking Docker costs a process each time.
    const interval = service.kind === 'docker' ? 5_000 : 500;
    while (await this.#pause(interval)) {
      if (await service.isAlive()) continue;
      if (this.#stopping) return;
      const delay = backoff.getAfterLife(Date.now() - this.#since.get(role)!);
      this.say(`the ${role} ended; starting it again in ${delay / 1000} s`);
      if (!(await this.#pause(delay))) return;
      const restart = service.restart();
      this.#arriving.add(restart);
      try {
        await restart;
        this.say(`the ${role} is back`);
      } catch (error) {
        this.say(`the ${role} could not be started: ${toMessage(error)}`);
      }
      this.#arriving.delete(restart);
      this.#since.set(role, Date.now());
      this.record();
    }
  }

  /** False when the store stops meanwhile. */
  #pause(milliseconds: number): Promise<boolean> {
    return new Promise((resolve) => {
      const done = (goOn: boolean) => {
        clearTimeout(timer);
        this.#abort.signal.removeEventListener('abort', stop);
        resolve(goOn);
      };
      const stop = () => done(false);
      const timer = setTimeout(done, milliseconds, true);
      if (this.#abort.signal.aborted) stop();
      else this.#abort.signal.addEventListener('abort', stop);
    });
  }

  /** Ends all, in order: services first, for they lean on the rest. Calling it again waits for the same end. */
  stop(): Promise<void> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  /** The user has lost patience. */
  async force(): Promise<void> {
    this.say('stopping at once');
    await Promise.all([...this.#services.values()].map((service) => service.stop(true)));
    await Promise.all([...this.#backing.values()].map((service) => service.stop(true)));
    await this.stop();
  }

  async #stop(): Promise<void> {
    this.#run.state = 'stopping';
    this.#abort.abort(new Stopped('the store is stopping'));
    this.#control?.close();
    this.record();
    const services = [...this.#services.values()];
    const running = services.filter((service) => service.record().process);
    if (running.length) this.say(`stopping ${running.map(({ name }) => name).join(', ')}`);
    await Promise.all(services.map((service) => service.stop()));
    await Promise.allSettled(this.#arriving);
    const own = [...this.#backing].filter(([, service]) => service.kind !== 'given');
    if (own.length) this.say(`stopping the ${own.map(([role]) => role).join(' and the ')}`);
    await Promise.all(
      own.map(async ([role, service]) => {
        await service.stop();
        this.#log.say(`the ${role} has stopped`);
      }),
    );
    this.#isForgotten = true;
    forgetRun(this.state);
    this.say('stopped; no process is left');
    this.#isOver();
  }
}
