import { connect, createServer, type Server, type Socket } from 'node:net';
import { type Store } from './store.ts';

/** The servers that a service connects to, by the setting with their address. */
const peers = { RABBITMQ_URL: 'amqp', DATABASE_URL: 'postgres' } as const;
export type Peer = keyof typeof peers;

/** A connection of a service through a proxy of chaos. */
interface Link {
  service: string;
  peer: Peer;
  ends: [Socket, Socket];
  /** Whether data was lost on it. Such a connection has to be reset. */
  lossy: boolean;
}

/** TCP proxies between each service and its broker and database. All these connections of a store use them. */
export class Links {
  readonly #ports: (peer: 'amqp' | 'postgres') => number;
  readonly #servers: Server[] = [];
  readonly #links = new Set<Link>();
  #delayMs = 0;
  readonly #dropping = new Set<string>();
  #droppedBytes = 0;

  /** @param ports gives the real port of the broker and the database; called for each connection */
  constructor(ports: Store['getPort']) {
    this.#ports = ports;
  }

  /** @returns environment variables that each service needs */
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
      const link: Link = { service, peer, ends: [near, far], lossy: false };
      this.#links.add(link);
      this.#forward(link, near, far);
      this.#forward(link, far, near);
    });
    this.#servers.push(server);
    return new Promise((resolve, reject) => {
      server.on('error', reject);
      server.listen(0, '127.0.0.1', () => resolve((server.address() as { port: number }).port));
    });
  }

  #forward(link: Link, from: Socket, to: Socket): void {
    const waiting: { chunk: Buffer | 'end'; due: number }[] = [];
    let timer: NodeJS.Timeout | undefined;
    const deliver = () => {
      timer = undefined;
      while (waiting[0] && waiting[0].due <= Date.now()) {
        const { chunk } = waiting.shift()!;
        if (chunk === 'end') to.end();
        else if (!to.write(chunk)) from.pause();
      }
      if (waiting[0]) timer = setTimeout(deliver, waiting[0].due - Date.now());
    };
    const enqueue = (chunk: Buffer | 'end') => {
      if (this.#dropping.has(toName(link))) {
        link.lossy = true;
        if (chunk !== 'end') this.#droppedBytes += chunk.length;
        return;
      }
      waiting.push({ chunk, due: Date.now() + this.#delayMs });
      if (!timer) deliver();
    };
    from.on('data', enqueue);
    from.on('error', () => undefined);
    from.on('close', () => {
      enqueue('end');
      to.resume();
      if (link.ends.every(({ destroyed }) => destroyed)) this.#links.delete(link);
    });
    to.on('drain', () => from.resume());
  }

  /** Adds latency each way on all connections. */
  async delay(milliseconds: number, during: Promise<unknown>): Promise<void> {
    this.#delayMs = milliseconds;
    await during;
    this.#delayMs = 0;
  }

  /** @returns how many connections were reset */
  resetAll(): number {
    const { size } = this.#links;
    for (const link of this.#links) reset(link);
    return size;
  }

  /**
   * Drops all data between a service and a peer, including the end of connections. Then resets every connection that
   * lost data.
   * @returns the number of dropped bytes
   */
  async dropTraffic(service: string, peer: Peer, during: Promise<unknown>): Promise<number> {
    const before = this.#droppedBytes;
    const name = toName({ service, peer });
    this.#dropping.add(name);
    await during;
    this.#dropping.delete(name);
    for (const link of this.#links) if (link.lossy) reset(link);
    return this.#droppedBytes - before;
  }

  async close(): Promise<void> {
    this.resetAll();
    await Promise.all(this.#servers.map((server) => new Promise((resolve) => server.close(resolve))));
  }
}

const toName = ({ service, peer }: Pick<Link, 'service' | 'peer'>) => `${service} ${peer}`;

function reset({ ends }: Link): void {
  for (const end of ends) end.resetAndDestroy();
}
