import { subscribe } from 'node:diagnostics_channel';
import type { Server } from 'node:net';

/**
 * Tracks the TCP ports on which this process listens, from now on, whichever code opens them.
 * @returns a function that returns the current ones
 */
export function watchListeningPorts(): () => number[] {
  const servers = new Set<Server>();
  subscribe('tracing:net.server.listen:asyncEnd', (message) => {
    const { server } = message as { server: Server };
    servers.add(server);
  });
  return () =>
    [...servers].flatMap((server) => {
      const address = server.address();
      if (!server.listening) servers.delete(server);
      return typeof address === 'object' && address ? [address.port] : [];
    });
}
