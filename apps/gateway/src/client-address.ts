import type { IncomingMessage } from 'node:http';
import { isIPv4 } from 'node:net';
import type { TLSSocket } from 'node:tls';
import proxyAddress from '@fastify/proxy-addr';
import ipaddr from 'ipaddr.js';

/** Whether a peer is trusted to set X-Forwarded-For and X-Forwarded-Proto. */
export type Trust = (address: string, hop: number) => boolean;

/**
 * @param peers addresses, networks (`10.0.0.0/8`), or the names `loopback`, `linklocal` and `uniquelocal`
 * @throws TypeError for any other value
 */
export const compileTrust = (peers: string[]): Trust => proxyAddress.compile(peers);

/** The client address: the peer's, or the one that a trusted peer forwards. */
export function getClientAddress(request: IncomingMessage, trust: Trust): string {
  if (request.headers['x-forwarded-for'] === undefined) return request.socket.remoteAddress ?? 'unknown';
  try {
    return proxyAddress(request, trust);
  } catch {
    return request.socket.remoteAddress ?? 'unknown';
  }
}

/** Headers in which proxies forward the origin of a request. */
const forwardingHeaders = [
  'forwarded',
  'x-forwarded-for',
  'x-forwarded-host',
  'x-forwarded-proto',
  'x-forwarded-port',
  'x-real-ip',
  'x-client-ip',
  'true-client-ip',
  'cf-connecting-ip',
  'via',
];

/**
 * Whether the client address is known. For a forwarded request this needs a trusted peer that sends X-Forwarded-For.
 */
export function isOriginKnown({ headers, socket }: IncomingMessage, trust: Trust): boolean {
  if (!forwardingHeaders.some((name) => headers[name] !== undefined)) return true;
  const { remoteAddress } = socket;
  return headers['x-forwarded-for'] !== undefined && remoteAddress !== undefined && trust(remoteAddress, 0);
}

/** The key for rate limits: the IPv4 address, or the /64 network of an IPv6 address, which one client owns. */
export function toNetwork(address: string): string {
  if (isIPv4(address) || !ipaddr.isValid(address)) return address;
  const parsed = ipaddr.process(address);
  if (parsed.kind() === 'ipv4') return parsed.toString();
  return Buffer.from(parsed.toByteArray().slice(0, 8)).toString('hex');
}

/** Whether the client used TLS, to the gateway or to a trusted peer. */
export function isSecure(request: IncomingMessage, trust: Trust): boolean {
  if ((request.socket as TLSSocket).encrypted) return true;
  const protocol = request.headers['x-forwarded-proto'];
  const peer = request.socket.remoteAddress;
  return protocol === 'https' && peer !== undefined && trust(peer, 0);
}
