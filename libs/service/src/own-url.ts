import os from 'node:os';
import ipaddr from 'ipaddr.js';

/**
 * Replaces the host of an URL by an address under which other hosts reach this one.
 * @param host the address on which the server listens. For all addresses (`0.0.0.0`, `::`, as in a container) the first
 *   external one of this machine, IPv4 before IPv6; loopback if there is none. Link-local addresses (169.254.0.0/16,
 *   fe80::/10) are skipped: other networks cannot reach them
 */
export function toOwnUrl(url: string, host: string, interfaces = os.networkInterfaces()): string {
  const own = new URL(url);
  const address = isUnspecified(host) ? findExternalAddress(interfaces) : host;
  own.hostname = address.includes(':') ? `[${address}]` : address;
  return own.origin;
}

const isUnspecified = (host: string): boolean =>
  ipaddr.isValid(host) && ipaddr.process(host).range() === 'unspecified';

function findExternalAddress(interfaces: ReturnType<typeof os.networkInterfaces>): string {
  const external = Object.values(interfaces)
    .flatMap((all) => all ?? [])
    .filter(({ internal, address }) => !internal && ipaddr.parse(address).range() !== 'linkLocal');
  const [first] = [
    ...external.filter(({ family }) => family === 'IPv4'),
    ...external.filter(({ family }) => family === 'IPv6'),
  ];
  return first?.address ?? '127.0.0.1';
}
