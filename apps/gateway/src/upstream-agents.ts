import type { LookupFunction } from 'node:net';
import type { Announcement } from '@jogakbo/contract';
import { toEndpoint, type UpstreamAddresses } from '@jogakbo/service/upstream-addresses';
import { Agent, buildConnector } from 'undici';

const connectTimeoutMs = 1_000;
const maxConnections = 256;

/**
 * HTTP connection pools, one per external service, because the permitted networks differ per service. Every address is
 * checked at connect time, after name resolution.
 */
export class UpstreamAgents {
  readonly #agents = new Map<string, { networks: string; agent: Agent }>();

  constructor(
    private readonly addresses: UpstreamAddresses,
    private readonly maxResponseSize: number,
  ) {}

  /** Without networks in the announcement no address is permitted. */
  agentFor({ service, networks = [] }: Announcement): Agent {
    const known = this.#agents.get(service);
    if (known?.networks === networks.join()) return known.agent;
    if (known) void close(known.agent);
    const agent = new Agent({
      connect: this.#connector(networks),
      connections: maxConnections,
      maxResponseSize: this.maxResponseSize,
    });
    this.#agents.set(service, { networks: networks.join(), agent });
    return agent;
  }

  #connector(networks: readonly string[]): buildConnector.connector {
    return (options, callback) => {
      const { protocol, hostname, port } = options;
      const target = toEndpoint(`${protocol}//${hostname}${port ? `:${port}` : ''}`);
      this.addresses.resolve(target, networks).then(
        (permitted) => {
          // Connects to the checked addresses. A second lookup could return others (DNS rebinding).
          const lookup: LookupFunction = (_host, { all }, done) =>
            all ? done(null, permitted) : done(null, permitted[0]!.address, permitted[0]!.family);
          buildConnector({ timeout: connectTimeoutMs, lookup })(options, callback);
        },
        (error: Error) => callback(error, null),
      );
    };
  }

  /** Closes the connections to all services not in the set. */
  keepOnly(services: ReadonlySet<string>): void {
    for (const [service, { agent }] of this.#agents) {
      if (services.has(service)) continue;
      this.#agents.delete(service);
      void close(agent);
    }
  }

  async close(): Promise<void> {
    await Promise.all([...this.#agents.values()].map(({ agent }) => close(agent)));
  }
}

/** Waits for requests in flight. Ignores the error of an agent whose last connection has just failed. */
const close = (agent: Agent): Promise<void> => agent.close().catch(() => {});
