import { chmodSync, rmSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { type Launch } from './service-launch.ts';
import { type State } from './state.ts';

/** The name of a socket may have about a hundred characters, however deep the state folder lies. */
function pathOf(state: State): string {
  const path = join(state.folder, 'control.sock');
  return path.length < 100 ? path : join(tmpdir(), `jogakbo-${state.id}.sock`);
}

export interface Controlled {
  /** Stops its own process of that service and says how it would have started it; undefined for an unknown name. */
  take(service: string): Promise<Launch | undefined>;
  giveBack(service: string): void;
}

/** Lets `serve` borrow a service. What was borrowed over a connection returns when that connection ends, however it ends. */
export function openControl(state: State, controlled: Controlled): Server {
  const path = pathOf(state);
  rmSync(path, { force: true });
  const server = createServer((socket) => {
    const taken: string[] = [];
    socket.on('error', () => undefined);
    socket.on('close', () => taken.forEach((service) => controlled.giveBack(service)));
    createInterface({ input: socket }).on('line', (service) => {
      taken.push(service);
      void controlled.take(service).then((launch) => socket.write(`${JSON.stringify(launch ?? null)}\n`));
    });
  });
  server.on('error', () => undefined);
  server.listen(path, () => chmodSync(path, 0o600));
  server.unref();
  return server;
}

export function takeService(
  state: State,
  service: string,
): Promise<{ launch: Launch | undefined; socket: Socket }> {
  return new Promise((resolve, reject) => {
    const socket = connect(pathOf(state), () => socket.write(`${service}\n`));
    socket.on('error', reject);
    createInterface({ input: socket }).once('line', (line) => {
      socket.off('error', reject);
      socket.on('error', () => undefined);
      resolve({ launch: (JSON.parse(line) as Launch | null) ?? undefined, socket });
    });
  });
}
