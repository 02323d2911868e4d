import { subscribe } from 'node:diagnostics_channel';
import type { Server } from 'node:net';

/**
 * Watches on which TCP ports this process listens, from now on, whichever code opened them.
 * @returns a function that gives the present ones
 */
export function watchListeningPorts(): () => number[] {
  const servers = new Set<Server>();
  subscribe('tracing:net.server.listen:asyncEnd', (message) => {
    const { server } = message as { server: Server };
    servers.add(server.once('close', () => servers.delete(server)));
  });
  return () =>
    [...servers].flatMap((server) => {
      const address = server.address();
      return typeof address === 'object' && address ? [address.port] : [];
    });
}
