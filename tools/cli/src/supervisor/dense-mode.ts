import { setTimeout as pause } from 'node:timers/promises';
import { type ServiceRecord } from './run-record.ts';
import {
  type DenseServiceLaunch,
  type LaunchCommand,
  type LaunchContext,
  prepareLaunch,
} from './service-launch.ts';
import { type ServiceProcess } from './service-process.ts';
import { prepareSharedProcess } from './shared-process.ts';
import { type App } from '../workspace.ts';

/** The name of the process of dense mode, and of the log of its lines that belong to no service. */
export const denseName = 'dense';

/** Prepares the one process of dense mode. */
export function prepareDenseHost(context: Pick<LaunchContext, 'state'>, user = process.env): LaunchCommand {
  const flags = ['--max-semi-space-size=8', '--max-old-space-size=512', '--expose-gc'];
  return prepareSharedProcess('dense-host.mjs', flags, context, user);
}

/** Prepares one service of dense mode. It has few users, so it needs few connections to its database. */
export function prepareDenseService(app: App, context: LaunchContext): LaunchCommand {
  const launch = prepareLaunch(app, context);
  return { ...launch, env: { DATABASE_POOL: '3', ...launch.env } };
}

/** One service inside the process of dense mode. */
export class DenseService {
  readonly name: string;
  readonly launch: LaunchCommand;
  readonly #host: ServiceProcess;
  readonly #onChange: () => void;
  #isSuspended = false;

  constructor(name: string, launch: LaunchCommand, host: ServiceProcess, onChange: () => void) {
    this.name = name;
    this.launch = launch;
    this.#host = host;
    this.#onChange = onChange;
  }

  get isSuspended(): boolean {
    return this.#isSuspended;
  }

  get request(): DenseServiceLaunch {
    return { name: this.name, main: this.launch.args.at(-1)!, env: this.launch.env };
  }

  toRecords(): ServiceRecord[] {
    const name = this.name;
    const host = this.#host;
    if (this.#isSuspended) return [{ name, state: 'suspended', since: Date.now(), restarts: host.restarts }];
    return [{ ...host.toRecord(), name, url: host.urls[name] }];
  }

  /** Drains it, so that another instance can replace it. */
  async suspend(): Promise<void> {
    await this.#untilStarted();
    try {
      if (this.#host.state === 'ready') await this.#host.ask('stop', this.request);
    } finally {
      // Also after an error: the process has begun to stop it, so only a new start brings it back.
      this.#setSuspended(true);
    }
  }

  /** @throws Error if it does not start; the process then ends, and starts again with all services */
  async resume(): Promise<void> {
    if (!this.#isSuspended) return;
    await this.#untilStarted();
    try {
      if (this.#host.state === 'ready')
        this.#host.urls[this.name] = await this.#host.ask('start', this.request);
    } finally {
      this.#setSuspended(false);
    }
  }

  /** A process that is starting has its list of services already. */
  async #untilStarted(): Promise<void> {
    while (this.#host.state === 'starting') await pause(50);
  }

  /** Starts it again, with the code that the process loaded at its start. @throws Error if it does not start */
  async restart(): Promise<void> {
    try {
      await this.suspend();
    } finally {
      await this.resume();
    }
  }

  #setSuspended(isSuspended: boolean): void {
    this.#isSuspended = isSuspended;
    this.#onChange();
  }
}
