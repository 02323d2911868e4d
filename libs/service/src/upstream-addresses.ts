import dns, { type LookupAddress } from 'node:dns';
import http from 'node:http';
import https from 'node:https';
import { isIP } from 'node:net';
import os from 'node:os';
import type { Announcement } from '@jogakbo/contract';
import ipaddr from 'ipaddr.js';
import { z } from 'zod';

/** An endpoint of this deployment itself. Without a port: every port of the host. */
export interface Endpoint {
  host: string;
  port?: number;
}

/** The address of an upstream is not permitted. Nothing was sent. */
export class DeniedAddress extends Error {
  override readonly name = 'DeniedAddress';
  readonly code = 'DENIED_ADDRESS';
}

/** A setting: `host:port` or `host`, separated by commas. */
export const EndpointList = z
  .string()
  .default('')
  .transform((text) => text.split(',').flatMap((one) => one.trim() || []))
  .pipe(
    z.array(
      z
        .string()
        .regex(
          /^(\[[0-9A-Fa-f:.]+\]|[\w.-]+)(:\d{1,5})?$/,
          'host or host:port, separated by commas; IPv6 addresses in [ ]',
        ),
    ),
  )
  .transform((all) => all.map(parseEndpoint));

function parseEndpoint(text: string): Endpoint {
  const [, host, port] = /^(.+?)(?::(\d+))?$/.exec(text)!;
  return { host: withoutBrackets(host!), ...(port && { port: Number(port) }) };
}

/** Host and port of a URL. */
export function toEndpoint(url: string): Required<Endpoint> {
  const { hostname, port, protocol } = new URL(url);
  return { host: withoutBrackets(hostname), port: Number(port) || (defaultPorts[protocol] ?? 80) };
}

/** All endpoints that these instances announce for their processes. */
export const toEndpoints = (instances: readonly Announcement[]): Endpoint[] =>
  instances.flatMap(({ url, ports = [] }) => {
    if (!URL.canParse(url)) return [];
    const { host, port } = toEndpoint(url);
    return [port, ...ports].map((one) => ({ host, port: one }));
  });

const defaultPorts: Record<string, number> = {
  'https:': 443,
  'amqp:': 5672,
  'amqps:': 5671,
  'postgres:': 5432,
  'postgresql:': 5432,
};
const withoutBrackets = (host: string): string => host.replace(/^\[|\]$/g, '');

/** An IPv4 or IPv6 network, such as `10.0.0.0/8`. */
export const Network = z
  .string()
  .max(49)
  .refine(
    (text) => ipaddr.IPv4.isValidCIDRFourPartDecimal(text) || ipaddr.IPv6.isValidCIDR(text),
    'must be a network such as 10.0.0.0/8',
  );

/** Kinds of addresses (IANA's special-purpose registries) that a network may permit. */
const permitted = new Set(['unicast', 'private', 'uniqueLocal', 'carrierGradeNat']);
/** Metadata services of clouds that are not link-local: AWS, Google, Alibaba, Azure. */
const metadata = ['fd00:ec2::254', 'fd20:ce::254', '100.100.100.200', '168.63.129.16'];
/** Milliseconds for which a resolved name and the answer of an endpoint are cached. */
const cachedForMs = 10_000;
const answerTimeoutMs = 1_000;
const maxCachedAnswers = 1_000;
/** Header of `/health/live` in every service of this deployment. Apps do not send it, whatever a service announces. */
export const instanceHeader = 'x-jogakbo-instance';

/** @throws Error without an HTTP answer */
function isProcessOfStore(
  protocol: typeof http | typeof https,
  host: string,
  port: number,
): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const target = { host, port, path: '/health/live', agent: false, rejectUnauthorized: false };
    const request = protocol.get({ ...target, timeout: answerTimeoutMs }, (response) => {
      resolve(instanceHeader in response.headers);
      response.destroy();
    });
    request.on('timeout', () => request.destroy(new Error('no answer')));
    request.on('error', reject);
  });
}

/**
 * Decides which addresses may be called over HTTP on behalf of others. An address must be in a permitted network. Loopback
 * must be permitted by a network that is loopback itself. Link-local, metadata, multicast, unspecified and translated
 * (NAT64, 6to4, Teredo) addresses and the store's own endpoints are never permitted. An announced endpoint counts as the
 * store's own unless its answer shows another process. A service therefore cannot deny the address of an app.
 */
export class UpstreamAddresses {
  readonly #names = new Map<string, { addresses: Promise<string[]>; at: number }>();

  readonly #answers = new Map<string, { isOwn: Promise<boolean>; at: number }>();

  /**
   * @param own the store's own endpoints, as its operators set them; read at each check
   * @param announced endpoints that services announce as their own
   */
  constructor(
    private readonly own: () => readonly Endpoint[],
    private readonly announced: () => readonly Endpoint[] = () => [],
  ) {}

  /**
   * Resolves a host, and removes the addresses that are not permitted. Connect only to the result.
   * @throws DeniedAddress if no address remains
   * @throws Error if the name cannot be resolved
   */
  async resolve({ host, port }: Required<Endpoint>, networks: readonly string[]): Promise<LookupAddress[]> {
    const family = isIP(host);
    const found = family ? [{ address: host, family }] : await dns.promises.lookup(host, { all: true });
    const allowed: LookupAddress[] = [];
    let why = '';
    for (const one of found) {
      const denial = findDenial(one.address, networks) ?? (await this.#findOwnDenial(one.address, port));
      if (denial) why ||= denial;
      else allowed.push(one);
    }
    if (allowed.length === 0) throw new DeniedAddress(why || `${host} has no address`);
    return allowed;
  }

  async #findOwnDenial(address: string, port: number): Promise<string | undefined> {
    const isOwn =
      (await this.#isAmong(this.own(), address, port)) ||
      ((await this.#isAmong(this.announced(), address, port)) && (await this.#answersAsOwn(address, port)));
    return isOwn ? `${address} port ${port} belongs to the store itself` : undefined;
  }

  async #isAmong(endpoints: readonly Endpoint[], address: string, port: number): Promise<boolean> {
    const isHere = isOfThisMachine(address);
    for (const { host, port: ownPort } of endpoints) {
      if (ownPort !== undefined && ownPort !== port) continue;
      const addresses = isIP(host) ? [host] : await this.#resolveAddresses(host);
      if (addresses.some((one) => isSame(one, address) || (isHere && isOfThisMachine(one)))) return true;
    }
    return false;
  }

  /** An endpoint without an HTTP answer counts as the store's own. */
  #answersAsOwn(address: string, port: number): Promise<boolean> {
    const name = `${address} ${port}`;
    const known = this.#answers.get(name);
    if (known && performance.now() - known.at < cachedForMs) return known.isOwn;
    const isOwn = isProcessOfStore(http, address, port)
      .catch(() => isProcessOfStore(https, address, port))
      .catch(() => true);
    this.#answers.delete(name);
    this.#answers.set(name, { isOwn, at: performance.now() });
    if (this.#answers.size > maxCachedAnswers) this.#answers.delete(this.#answers.keys().next().value!);
    return isOwn;
  }

  /** Keeps the previous addresses if the name cannot be resolved now. */
  #resolveAddresses(host: string): Promise<string[]> {
    const known = this.#names.get(host);
    if (known && performance.now() - known.at < cachedForMs) return known.addresses;
    const addresses = dns.promises.lookup(host, { all: true }).then(
      (found) => found.map(({ address }) => address),
      () => known?.addresses ?? [],
    );
    this.#names.set(host, { addresses, at: performance.now() });
    return addresses;
  }
}

/** Finds why an address is not permitted, on any port. */
function findDenial(text: string, networks: readonly string[]): string | undefined {
  const address = ipaddr.process(text);
  const range = address.range();
  if (metadata.some((one) => isSame(one, text))) return `${text} is the address of a metadata service`;
  if (range !== 'loopback' && !permitted.has(range)) return `${text} is never permitted (${range})`;
  const fits = networks
    .map((network) => ipaddr.parseCIDR(network))
    .filter(([base, bits]) => base.kind() === address.kind() && address.match(base, bits));
  if (fits.length === 0) return `${text} is in none of the permitted networks`;
  if (range !== 'loopback' || fits.some(isLoopback)) return undefined;
  return `${text} is loopback, and no permitted network names loopback explicitly`;
}

const isLoopback = ([base, bits]: [ipaddr.IPv4 | ipaddr.IPv6, number]): boolean =>
  base.range() === 'loopback' && bits >= (base.kind() === 'ipv4' ? 8 : 128);

const isSame = (a: string, b: string): boolean =>
  ipaddr.isValid(a) && ipaddr.process(a).toString() === ipaddr.process(b).toString();

function isOfThisMachine(text: string): boolean {
  if (!ipaddr.isValid(text)) return false;
  if (['loopback', 'unspecified'].includes(ipaddr.process(text).range())) return true;
  return Object.values(os.networkInterfaces()).some((all) =>
    all?.some(({ address }) => isSame(address, text)),
  );
}
