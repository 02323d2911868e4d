import { type ChildProcess, spawn } from 'node:child_process';
import { Backoff } from './backoff.ts';
import { type LogFile } from './log-file.ts';
import { end, readMark, type ProcessMark } from './processes.ts';
import { type ServiceRecord, type ServiceState } from './run-record.ts';
import { type Launch } from './service-launch.ts';

export const wrongSettings = 78;
const patienceToStart = 60_000;
const patienceToStop = 10_000;

/** A service that ended, or said nothing, before it was ready. */
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

interface Watcher {
  /** One line for people. */
  said(text: string): void;
  /** The record of this service is another one now. */
  changed(): void;
}

/** One service: started, started again whenever it ends, until told otherwise. */
export class ServiceProcess {
  readonly name: string;
  state: ServiceState = 'stopped';
  url?: string;
  restarts = 0;
  since = Date.now();
  readonly #launch: Launch;
  readonly #log: LogFile;
  readonly #watcher: Watcher;
  readonly #backoff = new Backoff();
  #child?: ChildProcess;
  #process?: ProcessMark;
  #timer?: NodeJS.Timeout;
  #wanted = false;
  /** Was ready once: from then on a failed start is tried again. */
  #established = false;

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

  /** Resolves when it is ready; rejects with EarlyEnd, and then it is not started again. */
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

  /** Lets somebody else run this service until resume(). */
  async yieldTo(): Promise<void> {
    await this.#end(false, 'taken');
  }

  /** Resolves when it is ready, or has failed and is tried again. */
  async resume(): Promise<void> {
    if (this.state !== 'taken') return;
    this.#wanted = true;
    await this.#run().catch(() => undefined);
  }

  /** Ends the process, and starts another. @throws EarlyEnd where that does not become ready; it is tried again */
  async restart(): Promise<void> {
    await this.#end(false, 'stopped');
    this.#wanted = true;
    await this.#run();
  }

  async #end(force: boolean, state: ServiceState): Promise<void> {
    this.#wanted = false;
    clearTimeout(this.#timer);
    await end(this.#process, { by: force ? 'SIGKILL' : 'SIGTERM', patience: patienceToStop });
    this.#become(state);
  }

  #become(state: ServiceState): void {
    this.state = state;
    this.since = Date.now();
    if (state !== 'ready' && state !== 'starting') this.#process = undefined;
    if (state !== 'ready') this.url = undefined;
    this.#watcher.changed();
  }

  #run(): Promise<void> {
    const began = Date.now();
    const complaints: string[] = [];
    const { command, args, cwd, env } = this.#launch;
    // Its own session: a Ctrl-C in the terminal is for the supervisor, which stops the services in order.
    const child = spawn(command, args, {
      cwd,
      env,
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    });
    this.#child = child;
    this.#process = readMark(child.pid);
    this.#become('starting');
    this.#log.follow(child.stdout!, 30);
    this.#log.follow(child.stderr!, 50, (line) => complaints.push(line) > 60 && complaints.shift());

    return new Promise((resolve, reject) => {
      let settled = false;
      const early = (reason: string, code: number | null) => {
        if (settled) return false;
        settled = true;
        clearTimeout(timer);
        reject(new EarlyExit(this.name, reason, code, complaints, this.#log.lastLines.slice(-20)));
        return true;
      };
      const timer = setTimeout(() => {
        early(`was not ready after ${patienceToStart / 1000} s`, null);
        child.kill('SIGKILL');
      }, patienceToStart);
      child.on('message', (message: { type?: string; url?: string }) => {
        if (message?.type !== 'ready' || settled) return;
        settled = true;
        clearTimeout(timer);
        this.#established = true;
        this.url = message.url;
        this.#become('ready');
        resolve();
      });
      child.on('error', (error) => early(`could not be started: ${error.message}`, null));
      let over = false;
      const gone = (code: number | null, signal: NodeJS.Signals | null) => {
        if (over || child !== this.#child) return;
        over = true;
        const reason = `ended (${signal ?? `code ${code}`})`;
        const wasEarly = early(`${reason} before it was ready`, code);
        // Whoever ended it has written it off already, and may have begun to start the next one.
        const isMissed = this.#process !== undefined && this.#wanted;
        if (isMissed && (this.#established || !wasEarly)) this.#afterDeath(reason, Date.now() - began);
      };
      // Its last words come after its exit, unless something it left behind holds the pipe open.
      child.on('exit', (code, signal) => setTimeout(gone, 300, code, signal));
      child.on('close', gone);
    });
  }

  #afterDeath(reason: string, life: number): void {
    const delay = this.#backoff.getAfterLife(life);
    this.#watcher.said(`${this.name} ${reason}; starting it again in ${delay / 1000} s`);
    this.restarts += 1;
    this.#become('waiting');
    this.#again(delay);
  }

  #again(delay: number): void {
    this.#timer = setTimeout(() => {
      this.#run().then(
        () => this.#watcher.said(`${this.name} is back`),
        () => undefined,
      );
    }, delay);
  }
}
