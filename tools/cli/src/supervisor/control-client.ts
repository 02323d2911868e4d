import { connect, type Socket } from 'node:net';
import { createInterface } from 'node:readline';
import { NotReady } from '@jogakbo/delivery/src/engine.ts';
import { CliError } from '../terminal/cli-error.ts';
import {
  type ControlAnswer,
  type ControlRequest,
  getControlPath,
  type LocalRelease,
} from './control-socket.ts';
import { type ServedRecord } from './run-record.ts';
import { type LaunchCommand } from './service-launch.ts';
import { type StateFolder } from './state.ts';

/** A connection to the running store. Closing it resumes all suspended services. */
export class ControlClient {
  /** Resolves when the connection has closed. */
  readonly closed: Promise<void>;
  readonly #socket: Socket;
  readonly #waiting = new Map<number, (answer: Omit<ControlAnswer, 'id'>) => void>();
  #lastId = 0;

  private constructor(socket: Socket) {
    this.#socket = socket;
    this.closed = new Promise((resolve) =>
      socket.on('close', () => {
        for (const settle of this.#waiting.values())
          settle({ error: 'The store stopped before it answered.' });
        resolve();
      }),
    );
    createInterface({ input: socket }).on('line', (line) => {
      const { id, ...answer } = JSON.parse(line) as ControlAnswer;
      this.#waiting.get(id)?.(answer);
      this.#waiting.delete(id);
    });
  }

  /** @throws CliError if no store is running */
  static open(state: StateFolder): Promise<ControlClient> {
    return new Promise((resolve, reject) => {
      const socket = connect(getControlPath(state));
      const rejectConnect = (error: Error) =>
        reject(
          new CliError(`The running store cannot be reached: ${error.message}.`, {
            remedies: ['npx jogakbo ps'],
          }),
        );
      socket.once('error', rejectConnect);
      socket.once('connect', () => {
        socket.off('error', rejectConnect);
        socket.on('error', () => undefined);
        resolve(new ControlClient(socket));
      });
    });
  }

  /** Reserves a service for this connection. @returns its launch command @throws CliError if another command has reserved it */
  reserve(service: string): Promise<LaunchCommand> {
    return this.#ask({ what: 'reserve', service }) as Promise<LaunchCommand>;
  }

  /** The launch command of a service, to run another instance beside the store's own. */
  getLaunchCommand(service: string): Promise<LaunchCommand> {
    return this.#ask({ what: 'get-launch-command', service }) as Promise<LaunchCommand>;
  }

  /** Stops the store's own process of a reserved service, until resume() or the end of this connection. */
  async suspend(service: string): Promise<void> {
    await this.#ask({ what: 'suspend', service });
  }

  /** Resolves when the store's own process is ready again or has failed. */
  async resume(service: string): Promise<void> {
    await this.#ask({ what: 'resume', service });
  }

  /** Resolves when the new process is ready. */
  async restart(service: string): Promise<void> {
    await this.#ask({ what: 'restart', service });
  }

  /** Sets the number of instances. Resolves when new ones are ready and others have drained. @throws NotReady */
  async scale(service: string, count: number): Promise<void> {
    await this.#ask({ what: 'scale', service, count });
  }

  /** Migrates, and starts a version of a reserved service beside the current one. @throws NotReady */
  async startVersion(release: LocalRelease): Promise<void> {
    await this.#ask({ what: 'start-version', ...release });
  }

  /** Makes the version of a reserved service the current one. Resolves when the previous one has drained. */
  async promote(service: string, version: string): Promise<void> {
    await this.#ask({ what: 'promote', service, version });
  }

  /** Ends the version of a reserved service that runs beside the current one. */
  async withdraw(service: string): Promise<void> {
    await this.#ask({ what: 'withdraw', service });
  }

  /** Ends a reserved service for good. Resolves when it has drained. */
  async retire(service: string): Promise<void> {
    await this.#ask({ what: 'retire', service });
  }

  /** Shows the record in `ps` while this connection is open. */
  async recordServed(record: ServedRecord | undefined): Promise<void> {
    await this.#ask({ what: 'record-served', ...(record && { record }) });
  }

  close(): void {
    this.#socket.destroy();
  }

  /** Lets the process exit while the connection is open. For tests that only observe a store. */
  unref(): void {
    this.#socket.unref();
  }

  #ask(request: ControlRequest): Promise<unknown> {
    const id = (this.#lastId += 1);
    return new Promise((resolve, reject) => {
      if (this.#socket.destroyed) return reject(new CliError('The store has stopped.'));
      this.#waiting.set(id, ({ value, error, lines }) => {
        if (error === undefined) resolve(value);
        else if (lines) reject(new NotReady(error, lines));
        else reject(new CliError(error));
      });
      this.#socket.write(`${JSON.stringify({ id, ...request })}\n`);
    });
  }
}
