import { type ChildProcess, spawn } from 'node:child_process';
import { CliError, toMessage, formatFault } from '../terminal/cli-error.ts';
import { type LogFile } from '../supervisor/log-file.ts';
import { renderLine } from '../terminal/log-line.ts';
import { printable } from '../terminal/printable.ts';
import { end, readMark, type ProcessMark } from '../supervisor/processes.ts';
import { type ServedRecord } from '../supervisor/run-record.ts';
import { type ServeEnvironment } from './serve-environment.ts';
import { type Launch } from '../supervisor/service-launch.ts';

const patienceToStart = 60_000;

interface Instance {
  child: ChildProcess;
  mark: ProcessMark | undefined;
  /** Undefined where it ended before it was ready. */
  ready: Promise<string | undefined>;
}

interface Served {
  name: string;
  version?: string;
  ground: ServeEnvironment;
  log: LogFile;
  say(text: string): void;
  /** Called before each start: runs the migrations that are new. */
  migrate(launch: Launch): Promise<void>;
}

/** Whether two instances can listen at the same time. */
const canShare = ({ env }: Launch): boolean => env.PORT === '0' || env.REUSE_PORT === 'true';

/**
 * The instance of a served service, and its next one: the next starts while the present one answers, which ends when the
 * next is ready. One that does not become ready changes nothing. Where only one can listen at a time, the present one ends
 * first.
 */
export class ServedInstance {
  readonly #served: Served;
  #current?: Instance;
  #next?: Instance;
  #generation = 0;
  #turn: Promise<void> = Promise.resolve();
  #over = false;

  constructor(served: Served) {
    this.#served = served;
  }

  /** Has a new instance follow the present one. A start that is under way is given up. */
  replace({ renewLogin = false } = {}): void {
    const generation = (this.#generation += 1);
    this.#next?.child.kill('SIGTERM');
    const isLast = () => generation === this.#generation && !this.#over;
    this.#turn = this.#turn
      .then(async () => {
        if (renewLogin && !this.#over) await this.#served.ground.renewLogin();
        if (isLast()) await this.#start(isLast);
      })
      .catch((error) =>
        console.error(error instanceof CliError ? formatFault(error) : printable(toMessage(error))),
      );
  }

  async #start(isLast: () => boolean): Promise<void> {
    const { ground, name, version, migrate, say } = this.#served;
    const launch = await ground.launch();
    await migrate(launch);
    if (!isLast()) return;
    const began = Date.now();
    const hasFixedPort = !version && !canShare(launch);
    if (hasFixedPort) {
      await ground.handOver();
      await this.#endInstance(this.#current);
    }
    const next = this.#spawn(launch);
    this.#next = next;
    const url = await next.ready;
    this.#next = undefined;
    if (!isLast()) return void (await this.#endInstance(next));
    if (url === undefined) {
      await this.#endInstance(next);
      if (hasFixedPort) return this.#handBack();
      return say(
        `${name} did not become ready; ${this.#current ? 'the last one that did' : 'nothing else'} runs on`,
      );
    }
    const previous = this.#current;
    this.#current = next;
    ground.show(this.#record(next, url, 'served'));
    next.child.on('exit', (code, signal) => this.#afterExit(next, signal ?? `code ${code}`));
    say(`${name} is ready at ${url} (${Date.now() - began} ms)`);
    await ground.handOver();
    await this.#endInstance(previous);
  }

  #spawn({ command, args, cwd, env }: Launch): Instance {
    const { version, log, name } = this.#served;
    const colours = process.stdout.isTTY && !process.env.NO_COLOR;
    const child = spawn(command, args, {
      cwd,
      // What it says that it is, on a port that the other one has not.
      env: version ? { ...env, npm_package_version: version, PORT: '0', REUSE_PORT: 'false' } : env,
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    });
    log.follow(child.stdout!, 30, (line) => console.log(renderLine(line, colours, name.length)));
    log.follow(child.stderr!, 50, (line) => console.error(printable(line)));
    const timer = setTimeout(() => child.kill('SIGKILL'), patienceToStart);
    const ready = new Promise<string | undefined>((resolve) => {
      child.on('message', (message: { type?: string; url?: string }) => {
        if (message?.type === 'ready') resolve(message.url ?? '');
      });
      child.on('error', () => resolve(undefined));
      child.on('exit', () => resolve(undefined));
    }).finally(() => clearTimeout(timer));
    return { child, mark: readMark(child.pid), ready };
  }

  #record({ mark }: Instance, url: string, state: 'served' | 'ended'): ServedRecord {
    const { name, version } = this.#served;
    return { name, ...(version && { version }), state, process: mark, url, since: Date.now(), restarts: 0 };
  }

  /** It died without being asked to: the store's own process takes its place until the next change. */
  #afterExit(instance: Instance, reason: string): void {
    if (instance !== this.#current || this.#over) return;
    this.#current = undefined;
    this.#served.say(`${this.#served.name} ended (${reason}); it starts again after the next change`);
    this.#turn = this.#turn.then(() => this.#handBack()).catch(() => undefined);
  }

  async #handBack(): Promise<void> {
    if (this.#over) return;
    this.#served.ground.show(undefined);
    await this.#served.ground.takeBack();
  }

  async #endInstance(instance: Instance | undefined): Promise<void> {
    if (!instance) return;
    if (this.#current === instance) this.#current = undefined;
    await end(instance.mark, { patience: 10_000 });
  }

  /** Ends it at once. */
  kill(): void {
    for (const one of [this.#current, this.#next]) one?.child.kill('SIGKILL');
  }

  /** Ends it. Where the store's own process can run beside it, that one is ready first. */
  async stop(): Promise<void> {
    this.#over = true;
    this.#next?.child.kill('SIGTERM');
    await this.#turn;
    const { ground, version } = this.#served;
    const launch = await ground.launch();
    const hasFixedPort = !version && !canShare(launch);
    if (!hasFixedPort) await ground.takeBack().catch(() => undefined);
    await this.#endInstance(this.#current);
    if (hasFixedPort) await ground.takeBack().catch(() => undefined);
  }
}
