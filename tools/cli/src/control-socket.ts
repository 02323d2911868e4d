import { chmodSync, rmSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { Fault } from './fault.ts';
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
  /** How it would start one more; undefined for an unknown name. */
  launchOf(service: string): Launch | undefined;
}

/** Asks how a service is started, and leaves it where it is. */
const beside = 'beside ';

/** How the service is started; null where the store has none of that name; or somebody else has it. */
type Answer = Launch | null | 'taken';

/**
 * Lets `serve` borrow a service. What was borrowed over a connection returns when that connection ends, however and
 * whenever it ends. Nothing is lent to two at a time.
 */
export function openControl(state: State, controlled: Controlled): Server {
  const path = pathOf(state);
  rmSync(path, { force: true });
  const lent = new Set<string>();
  const giveBack = (service: string) => {
    lent.delete(service);
    controlled.giveBack(service);
  };
  const server = createServer((socket) => {
    const mine = new Set<string>();
    const answer = (what: Answer) => socket.write(`${JSON.stringify(what)}\n`);
    socket.on('error', () => undefined);
    socket.on('close', () => mine.forEach(giveBack));
    const lend = async (service: string): Promise<void> => {
      if (lent.has(service)) return void answer('taken');
      lent.add(service);
      const launch = await controlled.take(service).catch(() => undefined);
      // Whoever asked may be gone by now.
      if (!launch || socket.destroyed) giveBack(service);
      else mine.add(service);
      answer(launch ?? null);
    };
    createInterface({ input: socket }).on('line', (line) => {
      if (!line.startsWith(beside)) return void lend(line);
      answer(controlled.launchOf(line.slice(beside.length)) ?? null);
    });
  });
  server.on('error', () => undefined);
  server.listen(path, () => chmodSync(path, 0o600));
  server.unref();
  return server;
}

/**
 * @param how `instead` of the store's own process, or `beside` it
 * @throws Fault where somebody else has it, or the store ends before it answers
 */
export function takeService(
  state: State,
  service: string,
  how: 'instead' | 'beside' = 'instead',
): Promise<{ launch: Launch | undefined; socket: Socket }> {
  return new Promise((resolve, reject) => {
    const asked = how === 'beside' ? beside + service : service;
    const socket = connect(pathOf(state), () => socket.write(`${asked}\n`));
    socket.on('error', reject);
    socket.on('close', () => reject(new Fault('The store ended before it answered.')));
    createInterface({ input: socket }).once('line', (line) => {
      socket.off('error', reject);
      socket.on('error', () => undefined);
      const answer = JSON.parse(line) as Answer;
      if (answer !== 'taken') return resolve({ launch: answer ?? undefined, socket });
      socket.destroy();
      reject(
        new Fault(`Another jogakbo serve runs ${service}.`, { remedies: ['end that one, and try again'] }),
      );
    });
  });
}
