import { z } from 'zod';
import { ServiceDescription } from './description.ts';
import { isDeeperThan, isWellFormed, maxContractDepth } from './json-schema.ts';

/** A public key that encrypts data for a service: a JWK of the curve X25519 (RFC 8037). */
export const EncryptionKey = z.object({
  kty: z.literal('OKP'),
  crv: z.literal('X25519'),
  x: z.base64url().length(43),
  /** The thumbprint of the key (RFC 7638). */
  kid: z.base64url().length(43),
});
export type EncryptionKey = z.infer<typeof EncryptionKey>;

/** Maximum number of queues in an announcement; an instance that recreated more announces the latest ones. */
export const maxMadeQueues = 16;
/** Maximum seconds between announcements of an instance on the bus. The lease of an HTTP upstream may be longer. */
export const maxAnnounceInterval = 60;

const AnnouncementFields = z.object({
  service: z.string(),
  /** Without control characters, because operators see it in terminals. */
  version: z.string().regex(/^[^\p{Cc}\p{Cf}]{1,200}$/u),
  instance: z.string().max(300),
  /** `out`: present, but takes no work; `draining`: shutting down, treated as gone. */
  state: z.enum(['up', 'out', 'draining']),
  /** Base URL of its health and metrics endpoints; for an HTTP upstream, of everything it serves. */
  url: z.url({ protocol: /^https?$/ }).max(300),
  startedAt: z.iso.datetime(),
  /** Set if the instance does not listen on the bus: it is called over HTTP, and a registry announces it. */
  upstream: z.literal('http').optional(),
  /** The service that announces it. While that service has no instances, missing heartbeats do not mean that it is gone. */
  registrationProxy: z.string().optional(),
  /** Networks that must contain the addresses of such an instance: its credential permits no others. */
  networks: z.array(z.string()).optional(),
  /** TCP ports on which its process listens. */
  ports: z.array(z.int().min(0).max(65_535)).max(64).optional(),
  /** The original registration of such an instance, so that every registry can announce it. */
  registration: z.record(z.string(), z.unknown()).optional(),
  /** Share of time that it was busy since the last report, from 0 to 1. */
  load: z.number().min(0).max(1).optional(),
  /** Services with an open circuit: it does not call them for now. */
  openCircuits: z.array(z.string().max(100)).max(200).optional(),
  /** Parts that it simulates in local mode. If there are any, the gateway lists them in a header of every response. */
  simulated: z
    .array(z.string().regex(/^[a-z][a-z0-9-]{0,39}$/))
    .max(8)
    .optional(),
  /** Seconds until the next announcement; an instance that is silent for three intervals is gone. */
  interval: z.number().min(0.1).max(4_000),
  /**
   * Queues that it found missing and recreated: earlier messages to them are lost. `ago`: milliseconds since then, by a
   * monotonic clock.
   */
  madeQueues: z
    .array(
      z.object({
        id: z.string().max(20),
        takes: z.array(z.string().max(200)).max(1_000),
        ago: z.number().nonnegative(),
      }),
    )
    .max(maxMadeQueues)
    .default([]),
  /** The keys whose messages this instance can decrypt, the current one first. */
  encryptionKeys: z.array(EncryptionKey).max(10).optional(),
  contract: ServiceDescription,
});

/**
 * Valid names in routing keys, logs and documents. Wider than `service()` permits: services that are written without this
 * library announce themselves too, and outside services even more freely.
 */
const namePatterns = {
  bus: { service: /^[a-z][a-z0-9-]{0,59}$/, instance: /^[\w-]{1,100}$/ },
  http: { service: /^[a-z][\w.-]{0,59}$/, instance: /^[^\s:/?#]+:[^\s/?#]+$/ },
};
const fullName = /^[a-z][\w-]*(\.[A-Za-z0-9]+(-[A-Za-z0-9]+)*)+$/;
const shortName = /^[A-Za-z0-9]+([.-][A-Za-z0-9]+)*$/;

/**
 * The announcement of an instance on the bus: at start-up, on changes, and in reply to a roll call.
 * It covers its own service only: contract, requests, events and instance carry its name.
 */
export const Announcement = AnnouncementFields.superRefine((announcement, context) => {
  const { service, instance, upstream, contract } = announcement;
  const must = (holds: boolean, path: string, message: string): void => {
    if (!holds) context.addIssue({ code: 'custom', path: path.split('.'), message });
  };
  const isOwn = (name: string): boolean =>
    name.startsWith(`${service}.`) && shortName.test(name.slice(service.length + 1));
  const patterns = namePatterns[upstream ?? 'bus'];
  must(patterns.service.test(service), 'service', 'is not a valid service name');
  must(patterns.instance.test(instance), 'instance', 'is not a valid instance name');
  const isTooDeep = isDeeperThan(maxContractDepth, announcement);
  must(!isTooDeep, 'contract', 'is nested too deeply');
  must(isTooDeep || isWellFormed(announcement), 'contract', 'contains an unpaired surrogate');
  if (!upstream) {
    // A service `a` must not be able to announce an instance of a service `a-b`.
    const isOwnInstance =
      instance.startsWith(`${service}-`) && /^\w+$/.test(instance.slice(service.length + 1));
    must(isOwnInstance, 'instance', `must be ${service}- followed by letters or digits`);
    must(announcement.interval <= maxAnnounceInterval, 'interval', `must be at most ${maxAnnounceInterval}`);
  }
  must(contract.service === service, 'contract.service', `must be ${service}`);
  for (const { name, http } of contract.requests) {
    must(isOwn(name), 'contract.requests', `${name} is not a request of ${service}`);
    const waited = http?.wait ? [http.wait.answer, ...http.wait.until.map(({ event }) => event)] : [];
    for (const other of waited)
      must(
        isOwn(other),
        'contract.requests',
        `${name} waits for ${other}, which does not belong to ${service}`,
      );
  }
  for (const { name } of contract.events)
    must(isOwn(name), 'contract.events', `${name} is not an event of ${service}`);
  for (const { name } of contract.uses ?? [])
    must(
      fullName.test(name) && !name.startsWith(`${service}.`),
      'contract.uses',
      `${name} is not a request or event of another service`,
    );
});
export type Announcement = z.infer<typeof Announcement>;

/** Sent every few seconds while the instance runs. */
export const Heartbeat = AnnouncementFields.pick({
  instance: true,
  interval: true,
  load: true,
  openCircuits: true,
});
export type Heartbeat = z.infer<typeof Heartbeat>;
