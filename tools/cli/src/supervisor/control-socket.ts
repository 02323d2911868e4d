import { chmodSync, rmSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { CliError, toMessage } from '../terminal/cli-error.ts';
import { type ServedRecord } from './run-record.ts';
import { type Launch } from './service-launch.ts';
import { type State } from './state.ts';

/** The name of a socket may have about a hundred characters, however deep the state folder lies. */
function getPath(state: State): string {
  const path = join(state.folder, 'control.sock');
  return path.length < 100 ? path : join(tmpdir(), `jogakbo-${state.id}.sock`);
}

/** What a running store does for other commands. A method that throws answers with the error. */
export interface Controlled {
  /** How it starts the service; also of one that it did not know yet. @throws where the workspace has none of that name */
  prepareLaunch(service: string): Promise<Launch>;
  /** Stops its own process of the service. */
  take(service: string): Promise<void>;
  /** Starts its own process again. Resolves when it is ready, or has failed. */
  giveBack(service: string): Promise<void>;
  restart(service: string): Promise<void>;
  /** Shows in its record what runs in place of its own processes, or beside them. */
  showServed(served: ServedRecord[]): void;
}

type Request =
  | { what: 'launch'; service: string; beside: boolean }
  | { what: 'take' | 'give' | 'restart'; service: string }
  | { what: 'served'; record?: ServedRecord };

/**
 * Lets `serve` borrow a service. What was borrowed over a connection returns when that connection ends, however and
 * whenever it ends. Nothing is lent to two at a time.
 */
export function openControl(state: State, controlled: Controlled): Server {
  const path = getPath(state);
  rmSync(path, { force: true });
  const lent = new Set<string>();
  const served = new Map<Socket, ServedRecord>();
  const server = createServer((socket) => {
    const mine = new Set<string>();
    const taken = new Set<string>();

    async function answer(request: Request): Promise<unknown> {
      if (request.what === 'served') {
        if (request.record) served.set(socket, request.record);
        else served.delete(socket);
        return controlled.showServed([...served.values()]);
      }
      const { what, service } = request;
      if (what === 'launch') {
        if (!request.beside && lent.has(service) && !mine.has(service))
          throw new CliError(`Another jogakbo serve runs ${service}.`);
        if (!request.beside) mine.add(service);
        if (!request.beside) lent.add(service);
        return controlled.prepareLaunch(service);
      }
      if (what === 'restart') {
        if (lent.has(service)) throw new CliError(`jogakbo serve runs ${service}.`);
        return controlled.restart(service);
      }
      if (!mine.has(service)) throw new CliError(`${service} was not borrowed.`);
      if (what === 'give') {
        taken.delete(service);
        return controlled.giveBack(service);
      }
      taken.add(service);
      await controlled.take(service);
      // Who asked may be gone by now.
      if (socket.destroyed) void controlled.giveBack(service);
      return undefined;
    }

    socket.on('error', () => undefined);
    socket.on('close', () => {
      for (const service of mine) lent.delete(service);
      for (const service of taken) void controlled.giveBack(service);
      if (served.delete(socket)) controlled.showServed([...served.values()]);
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

/** A connection to the running store. What was borrowed over it goes back when it is closed. */
export class ControlClient {
  /** Resolves when the connection has ended. */
  readonly closed: Promise<void>;
  readonly #socket: Socket;
  readonly #waiting = new Map<number, (answer: { value?: unknown; fault?: string }) => void>();
  #lastId = 0;

  private constructor(socket: Socket) {
    this.#socket = socket;
    this.closed = new Promise((resolve) =>
      socket.on('close', () => {
        for (const settle of this.#waiting.values()) settle({ fault: 'The store ended before it answered.' });
        resolve();
      }),
    );
    createInterface({ input: socket }).on('line', (line) => {
      const { id, ...answer } = JSON.parse(line) as { id: number; value?: unknown; fault?: string };
      this.#waiting.get(id)?.(answer);
      this.#waiting.delete(id);
    });
  }

  /** @throws Fault where no store listens */
  static open(state: State): Promise<ControlClient> {
    return new Promise((resolve, reject) => {
      const socket = connect(getPath(state));
      const refuse = (error: Error) =>
        reject(
          new CliError(`The running store cannot be asked: ${error.message}.`, {
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

  /** How a service is started: to run in its place, or beside it. @throws Fault where another command has it */
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

  /** Keeps nothing alive. */
  unref(): void {
    this.#socket.unref();
  }

  #ask(request: Request): Promise<unknown> {
    const id = (this.#lastId += 1);
    return new Promise((resolve, reject) => {
      if (this.#socket.destroyed) return reject(new CliError('The store has ended.'));
      this.#waiting.set(id, ({ value, fault }) => {
        if (fault === undefined) resolve(value);
        else reject(new CliError(fault));
      });
      this.#socket.write(`${JSON.stringify({ id, ...request })}\n`);
    });
  }
}
