import { subscribe } from 'node:diagnostics_channel';
import type { Server } from 'node:net';

// One for the process: in dense mode each main.js contains its own copy of this library.
const key = Symbol.for('jogakbo.listening-servers');
const shared = globalThis as { [key]?: Set<Server> };

/**
 * Tracks the TCP ports on which this process listens, from the first call on, whichever code opens them.
 * @returns a function that returns the current ones
 */
export function watchListeningPorts(): () => number[] {
  const servers = (shared[key] ??= trackServers());
  return () =>
    [...servers].flatMap((server) => {
      const address = server.address();
      return typeof address === 'object' && address ? [address.port] : [];
    });
}

function trackServers(): Set<Server> {
  const servers = new Set<Server>();
  subscribe('tracing:net.server.listen:asyncEnd', (message) => {
    const { server } = message as { server: Server };
    servers.add(server.once('close', () => servers.delete(server)));
  });
  return servers;
}
