import { type ChildProcess, spawn } from 'node:child_process';
import { Backoff } from './backoff.ts';
import { type LogFile } from './log-file.ts';
import { end, readMark, type ProcessMark } from './processes.ts';
import { type ServiceRecord, type ServiceState } from './run-record.ts';
import { type HostedLaunch, type Launch } from './service-launch.ts';

export const settingsErrorCode = 78;
const startTimeoutMs = 60_000;
const stopTimeoutMs = 10_000;

/** A service exited or timed out before it was ready. */
export class EarlyExit extends Error {
  readonly service: string;
  readonly code: number | null;
  readonly complaints: string[];
  readonly lastLines: string[];

  constructor(
    service: string,
    reason: string,
    code: number | null,
    complaints: string[],
    lastLines: string[],
  ) {
    super(`${service} ${reason}`);
    this.service = service;
    this.code = code;
    this.complaints = complaints;
    this.lastLines = lastLines;
  }
}

/** What the process of dense mode returns for one of its services. */
interface HostAnswer {
  url?: string;
  error?: string;
}

interface ServiceMessage extends HostAnswer {
  type?: 'ready' | 'answer';
  id?: number;
  urls?: Record<string, string>;
}

interface Watcher {
  /** Called with a status message of one line. */
  onMessage(text: string): void;
  /** Called when the record of this service has changed. */
  onChange(): void;
}

/** Runs one service and restarts it after every exit until it is stopped. */
export class ServiceProcess {
  readonly name: string;
  state: ServiceState = 'stopped';
  url?: string;
  /** In dense mode, the URL of each service in this process. */
  urls: Record<string, string> = {};
  restarts = 0;
  since = Date.now();
  readonly #launch: Launch;
  readonly #requests = new Map<number, (answer: HostAnswer) => void>();
  readonly #log: LogFile;
  readonly #watcher: Watcher;
  readonly #backoff = new Backoff();
  #child?: ChildProcess;
  #process?: ProcessMark;
  #timer?: NodeJS.Timeout;
  #wanted = false;
  #lastRequest = 0;
  /** Once the service has been ready, failed starts are retried. */
  #wasReady = false;

  constructor(name: string, launch: Launch, log: LogFile, watcher: Watcher) {
    this.name = name;
    this.#launch = launch;
    this.#log = log;
    this.#watcher = watcher;
  }

  get launch(): Launch {
    return this.#launch;
  }

  record(): ServiceRecord {
    const { name, state, url, since, restarts } = this;
    return { name, state, process: this.#process, url, since, restarts };
  }

  /** Resolves when it is ready. Rejects with EarlyExit, without a retry. */
  async start(): Promise<void> {
    this.#wanted = true;
    try {
      await this.#run();
    } catch (error) {
      this.#wanted = false;
      throw error;
    }
  }

  async stop(force = false): Promise<void> {
    await this.#end(force, 'stopped');
  }

  /** Stops the process until resume(), so that another instance can replace it. */
  async suspend(): Promise<void> {
    await this.#end(false, 'taken');
  }

  /** Resolves when it is ready, or when the start failed and is retried. */
  async resume(): Promise<void> {
    if (this.state !== 'taken') return;
    this.#wanted = true;
    await this.#run().catch(() => undefined);
  }

  /** Ends the process and starts a new one. @throws EarlyExit if it does not become ready; the start is retried */
  async restart(): Promise<void> {
    await this.#end(false, 'stopped');
    this.#wanted = true;
    await this.#run();
  }

  /** Starts or stops one service of the process of dense mode. @returns its URL @throws Error if it did not start */
  async ask(type: 'start' | 'stop', service: HostedLaunch): Promise<string> {
    const id = ++this.#lastRequest;
    const answer = await new Promise<HostAnswer>((resolve) => {
      this.#requests.set(id, resolve);
      this.#child!.send({ type, id, service }, (error) => error && resolve({ error: error.message }));
      this.#child!.once('exit', () => resolve({ error: 'its process ended' }));
    }).finally(() => this.#requests.delete(id));
    if (answer.error !== undefined) throw new Error(answer.error);
    return answer.url ?? '';
  }

  async #end(force: boolean, state: ServiceState): Promise<void> {
    this.#wanted = false;
    clearTimeout(this.#timer);
    await end(this.#process, { by: force ? 'SIGKILL' : 'SIGTERM', timeoutMs: stopTimeoutMs });
    this.#become(state);
  }

  #become(state: ServiceState): void {
    this.state = state;
    this.since = Date.now();
    if (state !== 'ready' && state !== 'starting') this.#process = undefined;
    if (state !== 'ready') this.url = undefined;
    this.#watcher.onChange();
  }

  #run(): Promise<void> {
    const began = Date.now();
    const complaints: string[] = [];
    const { command, args, cwd, env } = this.#launch;
    // Its own session: Ctrl-C reaches only the supervisor, which stops the services in order.
    const child = spawn(command, args, {
      cwd,
      env,
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    });
    this.#child = child;
    if (this.#launch.hosted) child.send({ type: 'start-all', services: this.#launch.hosted() });
    this.#process = readMark(child.pid);
    this.#become('starting');
    this.#log.follow(child.stdout!, 30);
    this.#log.follow(child.stderr!, 50, (line) => complaints.push(line) > 60 && complaints.shift());

    return new Promise((resolve, reject) => {
      let settled = false;
      const rejectEarly = (reason: string, code: number | null) => {
        if (settled) return false;
        settled = true;
        clearTimeout(timer);
        reject(new EarlyExit(this.name, reason, code, complaints, this.#log.lastLines.slice(-20)));
        return true;
      };
      const timer = setTimeout(() => {
        rejectEarly(`was not ready after ${startTimeoutMs / 1000} s`, null);
        child.kill('SIGKILL');
      }, startTimeoutMs);
      child.on('message', (message: ServiceMessage) => {
        if (message?.type === 'answer') this.#requests.get(message.id!)?.(message);
        if (message?.type !== 'ready' || settled) return;
        settled = true;
        clearTimeout(timer);
        this.#wasReady = true;
        this.url = message.url;
        this.urls = message.urls ?? {};
        this.#become('ready');
        resolve();
      });
      child.on('error', (error) => rejectEarly(`could not be started: ${error.message}`, null));
      let over = false;
      const onExit = (code: number | null, signal: NodeJS.Signals | null) => {
        if (over || child !== this.#child) return;
        over = true;
        const reason = `ended (${signal ?? `code ${code}`})`;
        const wasEarly = rejectEarly(`${reason} before it was ready`, code);
        // Undefined after a deliberate stop; a new process may already be starting.
        const isUnexpected = this.#process !== undefined && this.#wanted;
        if (isUnexpected && (this.#wasReady || !wasEarly)) this.#restartAfterExit(reason, Date.now() - began);
      };
      // `close` follows `exit` with the last output, unless a child process holds the pipe open.
      child.on('exit', (code, signal) => setTimeout(onExit, 300, code, signal));
      child.on('close', onExit);
    });
  }

  #restartAfterExit(reason: string, life: number): void {
    const delay = this.#backoff.getAfterLife(life);
    this.#watcher.onMessage(`${this.name} ${reason}; starting it again in ${delay / 1000} s`);
    this.restarts += 1;
    this.#become('waiting');
    this.#scheduleStart(delay);
  }

  #scheduleStart(delay: number): void {
    this.#timer = setTimeout(() => {
      this.#run().then(
        () => this.#watcher.onMessage(`${this.name} is back`),
        () => undefined,
      );
    }, delay);
  }
}
