import { BadRequestException } from '@nestjs/common';
import { z } from 'zod';

export const statuses = ['UP', 'DOWN', 'STARTING', 'OUT_OF_SERVICE', 'UNKNOWN'] as const;
export const Status = z.enum(statuses);
export type Status = z.infer<typeof Status>;

/**
 * Excludes control, invisible and bidirectional characters, because operators read these texts, and unpaired surrogates,
 * because a contract with one has no hash.
 */
const visible = /^[^\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]*$/u;
const hidden = 'must not contain control, bidirectional or invisible characters, or unpaired surrogates';
const ShortText = z.coerce.string().max(500).regex(visible, hidden);
/** Safe in URLs, tables and logs. */
const Identifier = z
  .string()
  .regex(
    /^(?=.*\w)[\w.:@+~-]+$/,
    'must contain only letters, digits and . _ : @ + ~ -, with at least one letter or digit',
  );
const Host = z
  .string()
  .regex(
    /^([A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?|\[?[0-9A-Fa-f:]+\]?)$/,
    'must be a host name or an IP address',
  )
  .max(253);
/** Maximum lease in seconds. An instance renews its lease at least three times within it. */
const maxLeaseSeconds = 300;
const Seconds = z.coerce.number().min(0.1);
const Port = z
  .union([
    z.coerce.number().pipe(z.int()),
    z.object({
      $: z.coerce.number().pipe(z.int()),
      '@enabled': z.union([z.boolean(), z.stringbool()]).default(true),
    }),
  ])
  .transform((port) => (typeof port === 'number' ? { $: port, '@enabled': true } : port))
  .refine((port) => !port['@enabled'] || (port.$ > 0 && port.$ < 65_536), 'must be a port from 1 to 65535');

/** Maximum total characters of names and values, because all gateways and registries receive every instance. */
const maxMetadata = 4_096;

export const Metadata = z
  // An empty XML element is parsed as an empty text.
  .preprocess((all) => all || {}, z.record(z.string(), z.unknown()))
  // Java clients add the class name of their map as an entry.
  .transform((all) => Object.entries(all).filter(([key, value]) => !key.startsWith('@') && value !== null))
  .pipe(
    z
      .array(
        z.tuple([
          z
            .string()
            .regex(/^[A-Za-z_][\w.-]*$/, 'must be a name: letters, digits, _ . and -')
            .max(100),
          // Line breaks also separate routes.
          z.coerce
            .string()
            .transform((value) => value.replace(/[\r\n]+/g, ';'))
            .pipe(z.string().max(2_000).regex(visible, hidden)),
        ]),
      )
      .max(50),
  )
  .refine(
    (entries) => entries.flat().join('').length <= maxMetadata,
    `must have at most ${maxMetadata} characters`,
  )
  .transform((entries): Record<string, string> => Object.fromEntries(entries))
  .refine(
    ({ version = '0' }) => Identifier.max(60).safeParse(version).success,
    'version: must be at most 60 letters, digits and . _ : @ + ~ -',
  );

/** The registration of an Eureka client, reduced to the known fields. In XML all values are texts. */
export const Instance = z.object({
  instanceId: Identifier.max(200).optional(),
  hostName: Host,
  app: z
    .string()
    .regex(/^[A-Za-z][\w.-]*$/, 'must be a name: a letter, then letters, digits, _ . and -')
    .max(60),
  ipAddr: Host.optional(),
  vipAddress: ShortText.optional(),
  secureVipAddress: ShortText.optional(),
  homePageUrl: ShortText.optional(),
  statusPageUrl: ShortText.optional(),
  healthCheckUrl: ShortText.optional(),
  status: Status.default('UP'),
  overriddenStatus: Status.optional().catch(undefined),
  port: Port.default({ $: 80, '@enabled': false }),
  securePort: Port.default({ $: 443, '@enabled': false }),
  countryId: z.coerce.number().default(1),
  dataCenterInfo: z
    .object({ '@class': ShortText.optional(), name: ShortText })
    .default({ name: 'MyOwn' })
    .transform(({ name }) => ({ '@class': 'com.netflix.appinfo.InstanceInfo$DefaultDataCenterInfo', name })),
  leaseInfo: z
    .object({
      renewalIntervalInSecs: Seconds.max(maxLeaseSeconds / 3).default(30),
      durationInSecs: Seconds.transform((seconds) => Math.min(seconds, maxLeaseSeconds)).default(90),
    })
    .prefault({}),
  metadata: Metadata,
  lastDirtyTimestamp: z.coerce.number().optional(),
});
export type Instance = z.infer<typeof Instance> & { instanceId: string };

/** The status set by an operator overrides the status of the instance. */
export const getStatus = ({ status, overriddenStatus }: Instance): Status =>
  overriddenStatus && overriddenStatus !== 'UNKNOWN' ? overriddenStatus : status;

/** HTTPS needs the host name for the certificate. HTTP prefers the IP address, as clients may not resolve the name. */
export function buildUrl({ hostName, ipAddr, port, securePort }: Instance): string {
  if (!port['@enabled'] && !securePort['@enabled']) {
    throw new BadRequestException('instance.port: neither port nor securePort is enabled');
  }
  const secure = !port['@enabled'];
  const host = secure ? hostName : (ipAddr ?? hostName);
  const bracketed = host.includes(':') && !host.startsWith('[') ? `[${host}]` : host;
  const text = `${secure ? 'https' : 'http'}://${bracketed}:${(secure ? securePort : port).$}`;
  if (!URL.canParse(text)) throw new BadRequestException(`instance.hostName: ${text} is not a valid URL`);
  return new URL(text).origin;
}
