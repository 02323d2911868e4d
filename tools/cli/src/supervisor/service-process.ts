import { type ChildProcess, spawn } from 'node:child_process';
import { toMessage } from '../terminal/cli-error.ts';
import { Backoff } from './backoff.ts';
import { type LogFile } from './log-file.ts';
import { end, identifyProcess, type ProcessIdentity } from './processes.ts';
import { type ServiceRecord, type ServiceState } from './run-record.ts';
import { type DenseServiceLaunch, type LaunchCommand } from './service-launch.ts';

export const settingsErrorCode = 78;
const startTimeoutMs = 60_000;
const stopTimeoutMs = 10_000;

/** A service exited or timed out before it was ready. */
export class EarlyExit extends Error {
  readonly service: string;
  /** The exit code; null after a signal, a timeout or a failed spawn. */
  readonly code: number | null;
  readonly errorLines: string[];
  readonly lastLines: string[];

  constructor(
    service: string,
    reason: string,
    code: number | null,
    errorLines: string[],
    lastLines: string[],
  ) {
    super(`${service} ${reason}`);
    this.service = service;
    this.code = code;
    this.errorLines = errorLines;
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

/** How a process of the service ended. */
interface Ending {
  /** In words, such as `ended (SIGKILL)`. */
  reason: string;
  /** The same for a process that was not ready yet. */
  earlyReason: string;
  code: number | null;
}

/**
 * Runs one service. After every end of its process, also after a failed spawn, it is started again if two conditions hold:
 * it is wanted (not stopped or suspended on purpose), and it has been ready at least once.
 */
export class ServiceProcess {
  readonly name: string;
  state: ServiceState = 'stopped';
  url?: string;
  /** In dense mode, the URL of each service in this process. */
  urls: Record<string, string> = {};
  restarts = 0;
  since = Date.now();
  readonly #launch: LaunchCommand;
  readonly #requests = new Map<number, (answer: HostAnswer) => void>();
  readonly #log: LogFile;
  readonly #watcher: Watcher;
  readonly #backoff = new Backoff();
  /** The latest process. Events of earlier ones are ignored. */
  #child?: ChildProcess;
  #process?: ProcessIdentity;
  #timer?: NodeJS.Timeout;
  #isWanted = false;
  #lastRequest = 0;
  #wasReady = false;

  constructor(name: string, launch: LaunchCommand, log: LogFile, watcher: Watcher) {
    this.name = name;
    this.#launch = launch;
    this.#log = log;
    this.#watcher = watcher;
  }

  get launch(): LaunchCommand {
    return this.#launch;
  }

  toRecord(): ServiceRecord {
    const { name, state, url, since, restarts } = this;
    return { name, state, process: this.#process, url, since, restarts };
  }

  /** Resolves when it is ready. @throws EarlyExit, without another attempt */
  async start(): Promise<void> {
    this.#isWanted = true;
    try {
      await this.#run();
    } catch (error) {
      this.#isWanted = false;
      throw error;
    }
  }

  async stop(force = false): Promise<void> {
    await this.#end(force, 'stopped');
  }

  /** Stops the process until resume(), so that another instance can replace it. */
  async suspend(): Promise<void> {
    await this.#end(false, 'suspended');
  }

  /** Resolves when it is ready, or when the start failed and is retried. */
  async resume(): Promise<void> {
    if (this.state !== 'suspended') return;
    this.#isWanted = true;
    await this.#run().catch(() => undefined);
  }

  /** Ends the process and starts a new one. @throws EarlyExit if it does not become ready; the start is retried */
  async restart(): Promise<void> {
    await this.#end(false, 'stopped');
    this.#isWanted = true;
    await this.#run();
  }

  /** Starts or stops one service of the process of dense mode. @returns its URL @throws Error if it did not start */
  async ask(type: 'start' | 'stop', service: DenseServiceLaunch): Promise<string> {
    const id = ++this.#lastRequest;
    const timeoutMs = type === 'stop' ? stopTimeoutMs : startTimeoutMs;
    const timer = setTimeout(
      () => answerWith({ error: `no answer within ${timeoutMs / 1000} s` }),
      timeoutMs,
    );
    const { promise, resolve: answerWith } = Promise.withResolvers<HostAnswer>();
    this.#requests.set(id, answerWith);
    this.#child!.send({ type, id, service }, (error) => error && answerWith({ error: error.message }));
    const answer = await promise;
    clearTimeout(timer);
    this.#requests.delete(id);
    if (answer.error !== undefined) throw new Error(answer.error);
    return answer.url ?? '';
  }

  async #end(force: boolean, state: ServiceState): Promise<void> {
    this.#isWanted = false;
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

  /** Starts a process. Resolves when it is ready. @throws EarlyExit */
  #run(): Promise<void> {
    const began = Date.now();
    const errorLines: string[] = [];
    return new Promise((resolve, reject) => {
      let isSettled = false;
      const rejectEarly = (reason: string, code: number | null) => {
        if (isSettled) return;
        isSettled = true;
        reject(new EarlyExit(this.name, reason, code, errorLines, this.#log.lastLines.slice(-20)));
      };
      const child = this.#spawn(errorLines, {
        onReady: ({ url, urls = {} }) => {
          if (isSettled) return;
          isSettled = true;
          clearTimeout(timer);
          this.#wasReady = true;
          this.url = url;
          this.urls = urls;
          this.#become('ready');
          resolve();
        },
        onEnd: (ending) => {
          clearTimeout(timer);
          rejectEarly(ending.earlyReason, ending.code);
          if (this.#isWanted && this.#wasReady) this.#startAfterDelay(ending.reason, Date.now() - began);
        },
      });
      const timer = setTimeout(() => {
        if (isSettled) return;
        rejectEarly(`was not ready after ${startTimeoutMs / 1000} s`, null);
        child?.kill('SIGKILL');
      }, startTimeoutMs);
    });
  }

  /** Spawns the process and reports its events. `onEnd` is called exactly once, unless a later process has replaced it. */
  #spawn(
    errorLines: string[],
    { onReady, onEnd }: { onReady: (message: ServiceMessage) => void; onEnd: (ending: Ending) => void },
  ): ChildProcess | undefined {
    const { command, args, cwd, env } = this.#launch;
    const reportFailure = (error: unknown) => {
      const reason = `could not be started: ${toMessage(error)}`;
      onEnd({ reason, earlyReason: reason, code: null });
    };
    let child: ChildProcess;
    try {
      // Its own session: Ctrl-C reaches only the supervisor, which stops the services in order.
      child = spawn(command, args, { cwd, env, detached: true, stdio: ['ignore', 'pipe', 'pipe', 'ipc'] });
    } catch (error) {
      // Some errors, such as ENOMEM, are thrown instead of emitted.
      setImmediate(reportFailure, error);
      return undefined;
    }
    this.#child = child;
    this.#process = identifyProcess(child.pid);
    this.#become('starting');
    if (this.#launch.listDenseServices && child.connected)
      child.send({ type: 'start-all', services: this.#launch.listDenseServices() });
    if (child.stdout) this.#log.follow(child.stdout, 30);
    if (child.stderr)
      this.#log.follow(child.stderr, 50, (line) => errorLines.push(line) > 60 && errorLines.shift());
    child.on('message', (message: ServiceMessage) => {
      if (message?.type === 'answer') this.#requests.get(message.id!)?.(message);
      if (message?.type === 'ready') onReady(message);
    });
    let isOver = false;
    const endOnce = (report: () => void) => {
      if (isOver || child !== this.#child) return;
      isOver = true;
      report();
    };
    const onExit = (code: number | null, signal: NodeJS.Signals | null) =>
      endOnce(() => {
        const reason = `ended (${signal ?? `code ${code}`})`;
        onEnd({ reason, earlyReason: `${reason} before it was ready`, code });
      });
    // With a pid, the error is about a signal or a message, and the process still runs.
    child.on('error', (error) => child.pid ?? endOnce(() => reportFailure(error)));
    // `close` follows `exit` with the last output, unless a child process holds the pipe open.
    child.on('exit', (code, signal) => {
      setTimeout(onExit, 300, code, signal);
      for (const answerWith of this.#requests.values()) answerWith({ error: 'its process ended' });
    });
    child.on('close', onExit);
    return child;
  }

  #startAfterDelay(reason: string, uptimeMs: number): void {
    const delay = this.#backoff.getNextDelay(uptimeMs);
    this.#watcher.onMessage(`${this.name} ${reason}; starting it again in ${delay / 1000} s`);
    this.restarts += 1;
    this.#become('waiting');
    this.#timer = setTimeout(() => {
      this.#run().then(
        () => this.#watcher.onMessage(`${this.name} is back`),
        () => undefined,
      );
    }, delay);
  }
}
