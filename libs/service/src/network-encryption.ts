import ipaddr from 'ipaddr.js';

/** The platform settings that decide whether an address may be used. */
export interface NetworkPolicy {
  localMode: boolean;
  plaintextNetwork: 'refuse' | 'allow';
}

/** By protocol without TLS: how to connect to the same server with TLS. */
const withTls: Record<string, string> = {
  'amqp:': 'amqps://',
  'http:': 'https://',
  'redis:': 'rediss://',
  'postgres:': 'sslmode=verify-full',
  'postgresql:': 'sslmode=verify-full',
};

/**
 * Finds why a service must not use the address of a server: outside local mode, logins and data must not cross a network
 * unencrypted.
 * @param address a valid URL; undefined if not set
 * @returns undefined if the address may be used
 */
export function describeMissingTls(address: string | undefined, policy: NetworkPolicy): string | undefined {
  if (address === undefined || policy.localMode || policy.plaintextNetwork === 'allow') return undefined;
  const { protocol, hostname, searchParams } = new URL(address);
  const tls = withTls[protocol];
  if (!tls) return undefined;
  // These parameters are those of PostgreSQL. Other clients ignore them.
  const isPostgres = protocol.startsWith('postgres');
  const hosts = isPostgres && searchParams.has('host') ? searchParams.getAll('host') : [hostname];
  if (hosts.every(staysOnThisMachine) || (isPostgres && verifiesServer(searchParams))) return undefined;
  return (
    `leads to ${hosts.join(', ')} without TLS: use ${tls}, or set PLAINTEXT_NETWORK=allow if the network itself is ` +
    'private or encrypted'
  );
}

/** The other modes do not verify the server, or do not encrypt. */
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
