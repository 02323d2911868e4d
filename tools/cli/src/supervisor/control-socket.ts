import { chmodSync, rmSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { CliError, toMessage } from '../terminal/cli-error.ts';
import { type ServedRecord } from './run-record.ts';
import { type Launch } from './service-launch.ts';
import { type State } from './state.ts';

/** Socket paths are limited to about 100 characters. Falls back to the temporary folder for longer ones. */
function getPath(state: State): string {
  const path = join(state.folder, 'control.sock');
  return path.length < 100 ? path : join(tmpdir(), `jogakbo-${state.id}.sock`);
}

/** Operations of a running store for other commands. An error is sent to the client. */
export interface StoreControl {
  /** The launch command of a service, including services added after the start. @throws if the workspace has no such service */
  prepareLaunch(service: string): Promise<Launch>;
  /** Stops the store's own process of the service. */
  take(service: string): Promise<void>;
  /** Starts the store's own process again. Resolves when it is ready or has failed. */
  giveBack(service: string): Promise<void>;
  restart(service: string): Promise<void>;
  /** Records the served instances that replace or extend the store's own processes. */
  showServed(served: ServedRecord[]): void;
}

type Request =
  | { what: 'launch'; service: string; beside: boolean }
  | { what: 'take' | 'give' | 'restart'; service: string }
  | { what: 'served'; record?: ServedRecord };

/**
 * Lets `serve` replace a service of the store. Each service is reserved for one connection at a time. When a connection
 * closes, the store restarts the services that it took.
 */
export function openControl(state: State, control: StoreControl): Server {
  const path = getPath(state);
  rmSync(path, { force: true });
  const reserved = new Set<string>();
  const served = new Map<Socket, ServedRecord>();
  const server = createServer((socket) => {
    const own = new Set<string>();
    const taken = new Set<string>();

    async function answer(request: Request): Promise<unknown> {
      if (request.what === 'served') {
        if (request.record) served.set(socket, request.record);
        else served.delete(socket);
        return control.showServed([...served.values()]);
      }
      const { what, service } = request;
      if (what === 'launch') {
        if (!request.beside && reserved.has(service) && !own.has(service))
          throw new CliError(`Another jogakbo serve runs ${service}.`);
        if (!request.beside) own.add(service);
        if (!request.beside) reserved.add(service);
        return control.prepareLaunch(service);
      }
      if (what === 'restart') {
        if (reserved.has(service)) throw new CliError(`jogakbo serve runs ${service}.`);
        return control.restart(service);
      }
      if (!own.has(service)) throw new CliError(`${service} is not reserved by this connection.`);
      if (what === 'give') {
        taken.delete(service);
        return control.giveBack(service);
      }
      taken.add(service);
      await control.take(service);
      // The client may have disconnected in the meantime.
      if (socket.destroyed) void control.giveBack(service);
      return undefined;
    }

    socket.on('error', () => undefined);
    socket.on('close', () => {
      for (const service of own) reserved.delete(service);
      for (const service of taken) void control.giveBack(service);
      if (served.delete(socket)) control.showServed([...served.values()]);
    });
    createInterface({ input: socket }).on('line', (line) => {
      const { id, ...request } = JSON.parse(line) as Request & { id: number };
      answer(request as Request).then(
        (value) => socket.write(`${JSON.stringify({ id, value })}\n`),
        (error: unknown) => socket.write(`${JSON.stringify({ id, fault: toMessage(error) })}\n`),
      );
    });
  });
  server.on('error', () => undefined);
  server.listen(path, () => chmodSync(path, 0o600));
  server.unref();
  return server;
}

/** A connection to the running store. Closing it gives all reserved services back. */
export class ControlClient {
  /** Resolves when the connection has closed. */
  readonly closed: Promise<void>;
  readonly #socket: Socket;
  readonly #waiting = new Map<number, (answer: { value?: unknown; fault?: string }) => void>();
  #lastId = 0;

  private constructor(socket: Socket) {
    this.#socket = socket;
    this.closed = new Promise((resolve) =>
      socket.on('close', () => {
        for (const settle of this.#waiting.values())
          settle({ fault: 'The store stopped before it answered.' });
        resolve();
      }),
    );
    createInterface({ input: socket }).on('line', (line) => {
      const { id, ...answer } = JSON.parse(line) as { id: number; value?: unknown; fault?: string };
      this.#waiting.get(id)?.(answer);
      this.#waiting.delete(id);
    });
  }

  /** @throws CliError if no store is running */
  static open(state: State): Promise<ControlClient> {
    return new Promise((resolve, reject) => {
      const socket = connect(getPath(state));
      const refuse = (error: Error) =>
        reject(
          new CliError(`The running store cannot be reached: ${error.message}.`, {
            remedies: ['npx jogakbo ps'],
          }),
        );
      socket.once('error', refuse);
      socket.once('connect', () => {
        socket.off('error', refuse);
        socket.on('error', () => undefined);
        resolve(new ControlClient(socket));
      });
    });
  }

  /** Gets the launch command to replace a service or to run beside it. @throws CliError if another command has reserved it */
  prepareLaunch(service: string, beside: boolean): Promise<Launch> {
    return this.#ask({ what: 'launch', service, beside }) as Promise<Launch>;
  }

  async do(what: 'take' | 'give' | 'restart', service: string): Promise<void> {
    await this.#ask({ what, service });
  }

  async show(record: ServedRecord | undefined): Promise<void> {
    await this.#ask({ what: 'served', ...(record && { record }) });
  }

  close(): void {
    this.#socket.destroy();
  }

  /** Lets the process exit while the connection is open. */
  unref(): void {
    this.#socket.unref();
  }

  #ask(request: Request): Promise<unknown> {
    const id = (this.#lastId += 1);
    return new Promise((resolve, reject) => {
      if (this.#socket.destroyed) return reject(new CliError('The store has stopped.'));
      this.#waiting.set(id, ({ value, fault }) => {
        if (fault === undefined) resolve(value);
        else reject(new CliError(fault));
      });
      this.#socket.write(`${JSON.stringify({ id, ...request })}\n`);
    });
  }
}
