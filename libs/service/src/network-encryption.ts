import ipaddr from 'ipaddr.js';

/** What of the platform's settings decides whether an address may be used. */
export interface NetworkPolicy {
  localMode: boolean;
  plaintextNetwork: 'refuse' | 'allow';
}

/** By the protocol of an address without TLS: how the same server is reached with TLS. */
const withTls: Record<string, string> = {
  'amqp:': 'amqps://',
  'redis:': 'rediss://',
  'postgres:': 'sslmode=verify-full',
  'postgresql:': 'sslmode=verify-full',
};

/**
 * Says why a service must not use the address of a server: outside local mode, logins and data cross no network
 * unencrypted.
 * @param address a valid URL; undefined where none is set
 * @returns undefined where the address may be used
 */
export function findPlaintext(address: string | undefined, policy: NetworkPolicy): string | undefined {
  if (address === undefined || policy.localMode || policy.plaintextNetwork === 'allow') return undefined;
  const { protocol, hostname, searchParams } = new URL(address);
  const tls = withTls[protocol];
  if (!tls) return undefined;
  const hosts = searchParams.has('host') ? searchParams.getAll('host') : [hostname];
  if (hosts.every(staysOnThisMachine) || verifiesServer(searchParams)) return undefined;
  return (
    `leads to ${hosts.join(', ')} without TLS: use ${tls}, or set PLAINTEXT_NETWORK=allow where the network itself is ` +
    'private or encrypted'
  );
}

/** Of PostgreSQL. The other modes encrypt for a server that nobody has verified, or not at all. */
const verifiesServer = (parameters: URLSearchParams): boolean => {
  const modes = parameters.getAll('sslmode');
  return modes.length > 0 && modes.every((mode) => mode === 'verify-full');
};

/** A loopback address, or the path of a Unix socket. */
const staysOnThisMachine = (host: string): boolean => isLoopback(host) || /^(\/|%2f)/i.test(host);

/** Whether a host name or an address can only be this machine. */
export function isLoopback(host: string): boolean {
  const address = host.replace(/^\[|\]$/g, '').toLowerCase();
  if (address === 'localhost') return true;
  return ipaddr.isValid(address) && ipaddr.process(address).range() === 'loopback';
}
