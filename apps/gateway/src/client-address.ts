import type { IncomingMessage } from 'node:http';
import { isIPv4 } from 'node:net';
import type { TLSSocket } from 'node:tls';
import proxyAddress from '@fastify/proxy-addr';
import ipaddr from 'ipaddr.js';

/** Whether a peer may speak for others, in X-Forwarded-For and X-Forwarded-Proto. */
export type Trust = (address: string, hop: number) => boolean;

/**
 * @param peers addresses, networks (`10.0.0.0/8`), or the names `loopback`, `linklocal` and `uniquelocal`
 * @throws TypeError where one is none of these
 */
export const compileTrust = (peers: string[]): Trust => proxyAddress.compile(peers);

/** The address a request comes from: its peer's, or the one that a peer which is trusted vouches for. */
export function getClientAddress(request: IncomingMessage, trust: Trust): string {
  if (request.headers['x-forwarded-for'] === undefined) return request.socket.remoteAddress ?? 'unknown';
  try {
    return proxyAddress(request, trust);
  } catch {
    return request.socket.remoteAddress ?? 'unknown';
  }
}

/** Headers with which proxies pass on where a request came from. */
const forwardingHeaders = [
  ...[
    'forwarded',
    'x-forwarded-for',
    'x-forwarded-host',
    'x-forwarded-proto',
    'x-forwarded-port',
    'x-real-ip',
  ],
  ...['x-client-ip', 'true-client-ip', 'cf-connecting-ip', 'via'],
];

/**
 * Whether the address of the client is known: a request that was passed on comes from somewhere else than its peer, and
 * only a peer that is trusted is believed from where.
 */
export function isOriginKnown({ headers, socket }: IncomingMessage, trust: Trust): boolean {
  if (!forwardingHeaders.some((name) => headers[name] !== undefined)) return true;
  const { remoteAddress } = socket;
  return headers['x-forwarded-for'] !== undefined && remoteAddress !== undefined && trust(remoteAddress, 0);
}

/** Whose requests are counted together: an address, or of IPv6 the network of 64 bits that one client has. */
export function toNetwork(address: string): string {
  if (isIPv4(address) || !ipaddr.isValid(address)) return address;
  const parsed = ipaddr.process(address);
  if (parsed.kind() === 'ipv4') return parsed.toString();
  return Buffer.from(parsed.toByteArray().slice(0, 8)).toString('hex');
}

/** Whether the client came over TLS, here or at a peer that is trusted. */
export function isSecure(request: IncomingMessage, trust: Trust): boolean {
  if ((request.socket as TLSSocket).encrypted) return true;
  const said = request.headers['x-forwarded-proto'];
  const peer = request.socket.remoteAddress;
  return said === 'https' && peer !== undefined && trust(peer, 0);
}
