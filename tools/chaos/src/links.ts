import { connect, createServer, type Server, type Socket } from 'node:net';
import { type Store } from './store.ts';

/** What a service leans on, by the setting that holds its address. */
const peers = { RABBITMQ_URL: 'amqp', DATABASE_URL: 'postgres' } as const;
export type Peer = keyof typeof peers;

/** One connection through us. */
interface Wire {
  service: string;
  peer: Peer;
  ends: [Socket, Socket];
  /** Something that was said on it was lost: neither end may be let go on as if nothing had happened. */
  lossy: boolean;
}

/** Between every service and its broker, and every service and its database: all connections of a store go through here. */
export class Links {
  readonly #ports: (peer: 'amqp' | 'postgres') => number;
  readonly #servers: Server[] = [];
  readonly #wires = new Set<Wire>();
  #delay = 0;
  readonly #deaf = new Set<string>();
  #swallowed = 0;

  /** @param ports where broker and database really are; asked for at every connection */
  constructor(ports: Store['getPort']) {
    this.#ports = ports;
  }

  /** @returns what a service must have in its environment */
  async open(services: readonly string[]): Promise<NodeJS.ProcessEnv> {
    const ports: Record<string, Record<string, number>> = {};
    for (const service of services) {
      const own: Record<string, number> = {};
      for (const peer of Object.keys(peers) as Peer[]) own[peer] = await this.#listen(service, peer);
      ports[service] = own;
    }
    return { CHAOS_PORTS: JSON.stringify(ports) };
  }

  #listen(service: string, peer: Peer): Promise<number> {
    const server = createServer({ noDelay: true }, (near) => {
      const far = connect({ port: this.#ports(peers[peer]), host: '127.0.0.1', noDelay: true });
      const wire: Wire = { service, peer, ends: [near, far], lossy: false };
      this.#wires.add(wire);
      this.#carry(wire, near, far);
      this.#carry(wire, far, near);
    });
    this.#servers.push(server);
    return new Promise((resolve, reject) => {
      server.on('error', reject);
      server.listen(0, '127.0.0.1', () => resolve((server.address() as { port: number }).port));
    });
  }

  #carry(wire: Wire, from: Socket, to: Socket): void {
    const waiting: { what: Buffer | 'end'; due: number }[] = [];
    let timer: NodeJS.Timeout | undefined;
    const deliver = () => {
      timer = undefined;
      while (waiting[0] && waiting[0].due <= Date.now()) {
        const { what } = waiting.shift()!;
        if (what === 'end') to.end();
        else if (!to.write(what)) from.pause();
      }
      if (waiting[0]) timer = setTimeout(deliver, waiting[0].due - Date.now());
    };
    const pass = (what: Buffer | 'end') => {
      if (this.#deaf.has(toName(wire))) {
        wire.lossy = true;
        if (what !== 'end') this.#swallowed += what.length;
        return;
      }
      waiting.push({ what, due: Date.now() + this.#delay });
      if (!timer) deliver();
    };
    from.on('data', pass);
    from.on('error', () => undefined);
    from.on('close', () => {
      pass('end');
      to.resume();
      if (wire.ends.every(({ destroyed }) => destroyed)) this.#wires.delete(wire);
    });
    to.on('drain', () => from.resume());
  }

  /** Everything takes longer, each way. */
  async slow(milliseconds: number, during: Promise<unknown>): Promise<void> {
    this.#delay = milliseconds;
    await during;
    this.#delay = 0;
  }

  /** @returns how many connections were reset */
  cut(): number {
    const { size } = this.#wires;
    for (const wire of this.#wires) reset(wire);
    return size;
  }

  /**
   * What a service and its peer say to each other vanishes, and neither is told; not even that the other is gone. Then
   * every connection on which something vanished is reset.
   * @returns the bytes that vanished
   */
  async swallow(service: string, peer: Peer, during: Promise<unknown>): Promise<number> {
    const before = this.#swallowed;
    const name = toName({ service, peer });
    this.#deaf.add(name);
    await during;
    this.#deaf.delete(name);
    for (const wire of this.#wires) if (wire.lossy) reset(wire);
    return this.#swallowed - before;
  }

  async close(): Promise<void> {
    this.cut();
    await Promise.all(this.#servers.map((server) => new Promise((resolve) => server.close(resolve))));
  }
}

const toName = ({ service, peer }: Pick<Wire, 'service' | 'peer'>) => `${service} ${peer}`;

function reset({ ends }: Wire): void {
  for (const end of ends) end.resetAndDestroy();
}
