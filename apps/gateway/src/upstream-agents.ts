import type { LookupFunction } from 'node:net';
import type { Announcement } from '@jogakbo/contract';
import { toEndpoint, type UpstreamAddresses } from '@jogakbo/service/upstream-addresses';
import { Agent, buildConnector } from 'undici';

const connectTimeout = 1_000;
const mostConnections = 256;

/**
 * Connections to services that are asked over HTTP, apart for each service: no service is asked over a connection that
 * another one's networks permitted. Every address is checked when it is connected to, after its name was resolved.
 */
export class UpstreamAgents {
  readonly #agents = new Map<string, { networks: string; agent: Agent }>();

  constructor(
    private readonly addresses: UpstreamAddresses,
    private readonly maxResponseSize: number,
  ) {}

  /** Without networks in its announcement nothing is permitted. */
  agentFor({ service, networks = [] }: Announcement): Agent {
    const known = this.#agents.get(service);
    if (known?.networks === networks.join()) return known.agent;
    if (known) void close(known.agent);
    const agent = new Agent({
      connect: this.#connector(networks),
      connections: mostConnections,
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
          // Nothing is resolved twice: a second answer could be another one.
          const lookup: LookupFunction = (_host, { all }, done) =>
            all ? done(null, permitted) : done(null, permitted[0]!.address, permitted[0]!.family);
          buildConnector({ timeout: connectTimeout, lookup })(options, callback);
        },
        (error: Error) => callback(error, null),
      );
    };
  }

  /** Closes the connections to all other services. */
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

/** Requests under way end first. Of an agent whose last connection has just broken there is nothing left to close. */
const close = (agent: Agent): Promise<void> => agent.close().catch(() => {});
