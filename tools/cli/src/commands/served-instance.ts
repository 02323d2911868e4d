import { type ChildProcess, spawn } from 'node:child_process';
import { CliError, toMessage, formatCliError } from '../terminal/cli-error.ts';
import { type LogFile } from '../supervisor/log-file.ts';
import { renderLine } from '../terminal/log-line.ts';
import { toPrintable } from '../terminal/printable.ts';
import { end, identifyProcess, type ProcessIdentity } from '../supervisor/processes.ts';
import { type ServedRecord } from '../supervisor/run-record.ts';
import { type ServeEnvironment } from './serve-environment.ts';
import { type LaunchCommand } from '../supervisor/service-launch.ts';

const startTimeoutMs = 60_000;

/**
 * A version beside that of the store gets a port of its own. Without one, the instance has the version of its package.json:
 * its sources change, so that it is not the deployed version any more.
 */
function getServedEnvironment(env: NodeJS.ProcessEnv, version: string | undefined): NodeJS.ProcessEnv {
  const { SERVICE_VERSION: _deployed, ...others } = env;
  return version ? { ...others, SERVICE_VERSION: version, PORT: '0', REUSE_PORT: 'false' } : others;
}

interface Instance {
  child: ChildProcess;
  identity: ProcessIdentity | undefined;
  /** Resolves to the URL; to undefined if the process exited before it was ready. */
  ready: Promise<string | undefined>;
}

interface Served {
  name: string;
  version?: string;
  environment: ServeEnvironment;
  log: LogFile;
  report(text: string): void;
  /** Runs the pending migrations. Called before each start. */
  migrate(launch: LaunchCommand): Promise<void>;
}

/** Whether one instance has to end before the next one can listen. Another version gets a port of its own. */
const mustEndBefore = ({ env }: LaunchCommand, version: string | undefined): boolean =>
  version === undefined && env.PORT !== '0' && env.REUSE_PORT !== 'true';

/**
 * Replaces the instance of a served service without downtime: the current instance ends when the next one is ready, and
 * keeps running if the next one fails. If the port cannot be shared, the current instance ends first.
 */
export class ServedInstance {
  readonly #served: Served;
  /** All processes that have not ended, also those that are being stopped. */
  readonly #alive = new Set<Instance>();
  #current?: Instance;
  #next?: Instance;
  #generation = 0;
  #queue: Promise<void> = Promise.resolve();
  #isStopped = false;

  constructor(served: Served) {
    this.#served = served;
  }

  /** Starts a new instance to replace the current one. Cancels a start in progress. */
  replace({ renewLogin = false } = {}): void {
    const generation = (this.#generation += 1);
    this.#next?.child.kill('SIGTERM');
    const isLast = () => generation === this.#generation && !this.#isStopped;
    this.#queue = this.#queue
      .then(async () => {
        if (renewLogin && !this.#isStopped) await this.#served.environment.renewLogin();
        if (isLast()) await this.#start(isLast);
      })
      .catch((error) =>
        console.error(error instanceof CliError ? formatCliError(error) : toPrintable(toMessage(error))),
      );
  }

  async #start(isLast: () => boolean): Promise<void> {
    const { environment, name, version, migrate, report } = this.#served;
    const launch = await environment.getLaunchCommand();
    await migrate(launch);
    if (!isLast()) return;
    const began = Date.now();
    const mustEndFirst = mustEndBefore(launch, version);
    if (mustEndFirst) {
      await environment.suspendOwn();
      await this.#endInstance(this.#current);
    }
    const next = this.#spawn(launch);
    this.#next = next;
    const url = await next.ready;
    this.#next = undefined;
    if (!isLast()) return void (await this.#endInstance(next));
    if (url === undefined) {
      await this.#endInstance(next);
      report(
        `${name} did not become ready; ${this.#current ? 'the previous instance keeps running' : 'no instance is running'}`,
      );
      return mustEndFirst ? this.#resumeOwn() : undefined;
    }
    const previous = this.#current;
    this.#current = next;
    environment.recordServed(this.#toRecord(next, url));
    next.child.on('exit', (code, signal) => this.#afterExit(next, signal ?? `code ${code}`));
    report(`${name} is ready at ${url} (${Date.now() - began} ms)`);
    await environment.suspendOwn();
    await this.#endInstance(previous);
  }

  #spawn({ command, args, cwd, env }: LaunchCommand): Instance {
    const { version, log, name } = this.#served;
    const colours = process.stdout.isTTY && !process.env.NO_COLOR;
    const child = spawn(command, args, {
      cwd,
      env: getServedEnvironment(env, version),
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    });
    log.follow(child.stdout!, 30, (line) => console.log(renderLine(line, colours, name.length)));
    log.follow(child.stderr!, 50, (line) => console.error(toPrintable(line)));
    const timer = setTimeout(() => child.kill('SIGKILL'), startTimeoutMs);
    const ready = new Promise<string | undefined>((resolve) => {
      child.on('message', (message: { type?: string; url?: string }) => {
        if (message?.type === 'ready') resolve(message.url ?? '');
      });
      child.on('error', () => resolve(undefined));
      child.on('exit', () => resolve(undefined));
    }).finally(() => clearTimeout(timer));
    const instance = { child, identity: identifyProcess(child.pid), ready };
    this.#alive.add(instance);
    child.on('exit', () => this.#alive.delete(instance));
    return instance;
  }

  #toRecord({ identity }: Instance, url: string): ServedRecord {
    const { name, version } = this.#served;
    return {
      name,
      ...(version && { version }),
      state: 'served',
      process: identity,
      url,
      since: Date.now(),
      restarts: 0,
    };
  }

  /** After an unexpected exit, the store's own process replaces the instance until the next change. */
  #afterExit(instance: Instance, reason: string): void {
    if (instance !== this.#current || this.#isStopped) return;
    this.#current = undefined;
    this.#served.report(`${this.#served.name} exited (${reason}); it is started again after the next change`);
    this.#queue = this.#queue.then(() => this.#resumeOwn()).catch(() => undefined);
  }

  async #resumeOwn(): Promise<void> {
    if (this.#isStopped) return;
    this.#served.environment.recordServed(undefined);
    await this.#served.environment.resumeOwn();
  }

  async #endInstance(instance: Instance | undefined): Promise<void> {
    if (!instance) return;
    if (this.#current === instance) this.#current = undefined;
    await end(instance.identity, { timeoutMs: 10_000 });
  }

  /** Kills all instances. */
  kill(): void {
    for (const { child } of this.#alive) child.kill('SIGKILL');
  }

  /** Ends the instance. If the port can be shared, the store's own process is ready first. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#next?.child.kill('SIGTERM');
    await this.#queue;
    const { environment, version } = this.#served;
    const launch = await environment.getLaunchCommand();
    const mustEndFirst = mustEndBefore(launch, version);
    if (!mustEndFirst) await environment.resumeOwn().catch(() => undefined);
    await this.#endInstance(this.#current);
    if (mustEndFirst) await environment.resumeOwn().catch(() => undefined);
  }
}
