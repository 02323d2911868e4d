import { chmodSync, rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { NotReady } from '@jogakbo/delivery/src/engine.ts';
import { CliError, toMessage } from '../terminal/cli-error.ts';
import { type ServedRecord } from './run-record.ts';
import { type LaunchCommand } from './service-launch.ts';
import { type StateFolder } from './state.ts';

/** Socket paths are limited to 103 bytes on macOS, 107 on Linux. Falls back to the temporary folder for longer ones. */
export function getControlPath(state: StateFolder): string {
  const path = join(state.folder, 'control.sock');
  return Buffer.byteLength(path) < 100 ? path : join(tmpdir(), `jogakbo-${state.id}.sock`);
}

/** Operations of a running store for other commands. An error is sent to the client. */
export interface StoreControl {
  /** The launch command of a service, including one that was added after the start. @throws if the workspace has no such service */
  getLaunchCommand(service: string): Promise<LaunchCommand>;
  /** Stops the store's own process of the service. */
  suspend(service: string): Promise<void>;
  /** Starts the store's own process again. Resolves when it is ready or has failed. */
  resume(service: string): Promise<void>;
  restart(service: string): Promise<void>;
  /** Sets the number of instances of a service. */
  scale(service: string, count: number): Promise<void>;
  /** Migrates, and starts a version beside the current one. Resolves when it is ready. @throws NotReady */
  startVersion(release: LocalRelease): Promise<void>;
  /** Makes the version the current one. Resolves when the previous one has drained. */
  promote(service: string, version: string): Promise<void>;
  /** Drains and ends the version that runs beside the current one. */
  withdraw(service: string): Promise<void>;
  /** Drains and ends all processes of the service, and forgets it. */
  retire(service: string): Promise<void>;
  /** Records the served instances that replace or extend the store's own processes. */
  recordServed(served: ServedRecord[]): void;
}

/** A version of a service, in a folder with its artefact. */
export interface LocalRelease {
  service: string;
  version: string;
  folder: string;
}

/**
 * The protocol: one JSON object per line. A request has an id, which the answer repeats: {id, value} or {id, error}.
 * `reserve` answers with the launch command and reserves the service for this connection; `get-launch-command` only answers.
 */
export type ControlRequest =
  | {
      what: 'get-launch-command' | 'reserve' | 'suspend' | 'resume' | 'restart' | 'withdraw' | 'retire';
      service: string;
    }
  | { what: 'scale'; service: string; count: number }
  | ({ what: 'start-version' } & LocalRelease)
  | { what: 'promote'; service: string; version: string }
  | { what: 'record-served'; record?: ServedRecord };

export interface ControlAnswer {
  id: number;
  value?: unknown;
  error?: string;
  /** The last lines of a log, with an error. */
  lines?: readonly string[];
}

/**
 * Lets `serve` replace a service of the store. When a connection closes, the store resumes the services that it suspended.
 *
 * - not reserved: only the store's own process runs; `restart` is possible
 * - reserved, for one connection at a time: `serve` starts its instance beside the store's own process
 * - suspended: the instance of `serve` is ready, and the store's own process has been stopped
 * - `serve --version` reserves nothing: its instance stays beside the store's own process
 * - `deploy` reserves the service and starts a version, which is withdrawn if the connection closes before it is promoted
 */
export class ControlSocket {
  readonly #control: StoreControl;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #reserved = new Set<string>();
  readonly #served = new Map<Socket, ServedRecord>();

  /** @param onError called if the socket cannot be opened; the store runs without it */
  constructor(state: StateFolder, control: StoreControl, onError: (error: Error) => void) {
    this.#control = control;
    const path = getControlPath(state);
    try {
      rmSync(path, { force: true });
    } catch {
      // then listen() fails, too, and reports it
    }
    this.#server = createServer((socket) => this.#accept(socket));
    this.#server.on('error', onError);
    this.#server.listen(path, () => chmodSync(path, 0o600));
    this.#server.unref();
  }

  /** Ends all connections, so that their clients see that the store has stopped. */
  close(): void {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
  }

  #accept(socket: Socket): void {
    this.#sockets.add(socket);
    const connection = new Connection(this.#control, this.#reserved);
    socket.on('error', () => undefined);
    socket.on('close', () => {
      this.#sockets.delete(socket);
      connection.close();
      if (this.#served.delete(socket)) this.#recordServed();
    });
    createInterface({ input: socket }).on('line', (line) => {
      const { id, request } = parseRequest(line);
      const answering =
        request?.what === 'record-served'
          ? this.#setServed(socket, request.record)
          : connection.answer(request);
      answering.then(
        (value) => send(socket, { id, value }),
        (error: unknown) =>
          send(socket, {
            id,
            error: toMessage(error),
            ...(error instanceof NotReady && { lines: error.lines }),
          }),
      );
    });
  }

  async #setServed(socket: Socket, record: ServedRecord | undefined): Promise<void> {
    if (record) this.#served.set(socket, record);
    else this.#served.delete(socket);
    this.#recordServed();
  }

  #recordServed(): void {
    this.#control.recordServed([...this.#served.values()]);
  }
}

/** The id is -1, and the request undefined, unless the line is a JSON object with an id. */
function parseRequest(line: string): { id: number; request?: ControlRequest } {
  try {
    const { id, ...request } = JSON.parse(line) as ControlRequest & { id: number };
    return { id: id ?? -1, request: request as ControlRequest };
  } catch {
    return { id: -1 };
  }
}

function send(socket: Socket, answer: ControlAnswer): void {
  if (socket.writable) socket.write(`${JSON.stringify(answer)}\n`);
}

/** The services that one client has reserved and suspended. */
class Connection {
  readonly #control: StoreControl;
  /** The reserved services of all connections. */
  readonly #allReserved: Set<string>;
  readonly #reserved = new Set<string>();
  readonly #suspended = new Set<string>();
  /** The services of which it started a version that is not promoted. */
  readonly #candidates = new Set<string>();
  #isClosed = false;

  constructor(control: StoreControl, allReserved: Set<string>) {
    this.#control = control;
    this.#allReserved = allReserved;
  }

  async answer(request: Exclude<ControlRequest, { what: 'record-served' }> | undefined): Promise<unknown> {
    if (typeof request?.service !== 'string') throw new CliError('The request is not valid.');
    const { service } = request;
    switch (request.what) {
      case 'get-launch-command':
        return this.#control.getLaunchCommand(service);
      case 'reserve':
        return this.#reserve(service);
      case 'restart':
        this.#assertFree(service);
        return this.#control.restart(service);
      case 'scale':
        this.#assertFree(service);
        return this.#control.scale(service, request.count);
      case 'start-version':
        return this.#startVersion(request);
      case 'promote':
        this.#assertReserved(service);
        this.#candidates.delete(service);
        return this.#control.promote(service, request.version);
      case 'withdraw':
        this.#assertReserved(service);
        this.#candidates.delete(service);
        return this.#control.withdraw(service);
      case 'retire':
        this.#assertReserved(service);
        return this.#control.retire(service);
      case 'suspend':
        return this.#suspend(service);
      case 'resume':
        this.#assertReserved(service);
        this.#suspended.delete(service);
        return this.#control.resume(service);
      default:
        throw new CliError(
          `The store does not know the request ${String((request as { what: unknown }).what)}.`,
        );
    }
  }

  #reserve(service: string): Promise<LaunchCommand> {
    if (this.#allReserved.has(service) && !this.#reserved.has(service))
      throw new CliError(`Another command serves or deploys ${service}.`);
    this.#reserved.add(service);
    this.#allReserved.add(service);
    return this.#control.getLaunchCommand(service);
  }

  async #suspend(service: string): Promise<void> {
    this.#assertReserved(service);
    this.#suspended.add(service);
    await this.#control.suspend(service);
    // The client may have disconnected in the meantime.
    if (this.#isClosed) void this.#control.resume(service);
  }

  async #startVersion({ service, version, folder }: LocalRelease): Promise<void> {
    this.#assertReserved(service);
    this.#candidates.add(service);
    await this.#control.startVersion({ service, version, folder });
    // The client may have disconnected in the meantime.
    if (this.#isClosed) void this.#control.withdraw(service);
  }

  #assertFree(service: string): void {
    if (this.#allReserved.has(service)) throw new CliError(`Another command serves or deploys ${service}.`);
  }

  #assertReserved(service: string): void {
    if (!this.#reserved.has(service)) throw new CliError(`${service} is not reserved by this connection.`);
  }

  close(): void {
    this.#isClosed = true;
    for (const service of this.#reserved) this.#allReserved.delete(service);
    for (const service of this.#suspended) void this.#control.resume(service);
    for (const service of this.#candidates) void this.#control.withdraw(service).catch(() => undefined);
  }
}
