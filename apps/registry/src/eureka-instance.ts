import { BadRequestException } from '@nestjs/common';
import { z } from 'zod';

export const statuses = ['UP', 'DOWN', 'STARTING', 'OUT_OF_SERVICE', 'UNKNOWN'] as const;
export const Status = z.enum(statuses);
export type Status = z.infer<typeof Status>;

/** Neither control characters nor those that are invisible or change the direction of others: operators read these texts. */
const visible = /^[^\p{Cc}\p{Cf}\p{Zl}\p{Zp}]*$/u;
const hidden = 'must not hold control, bidirectional or invisible characters';
const ShortText = z.coerce.string().max(500).regex(visible, hidden);
/** What stands in addresses, tables and logs. */
const Identifier = z
  .string()
  .regex(
    /^(?=.*\w)[\w.:@+~-]+$/,
    'must consist of letters, digits and . _ : @ + ~ -, one letter or digit at least',
  );
const Host = z
  .string()
  .regex(
    /^([A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?|\[?[0-9A-Fa-f:]+\]?)$/,
    'is not the name or address of a host',
  )
  .max(253);
/** A lease ends after so many seconds at most, and an instance renews it three times at least. */
const longestLease = 300;
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
  .refine((port) => !port['@enabled'] || (port.$ > 0 && port.$ < 65_536), 'is not a port');

/** Characters at most of all names and values together: every instance is announced to all gateways and registries. */
const mostMetadata = 4_096;

export const Metadata = z
  // An empty element of XML is an empty text.
  .preprocess((all) => all || {}, z.record(z.string(), z.unknown()))
  // Java clients write the class of their map among its entries.
  .transform((all) => Object.entries(all).filter(([key, value]) => !key.startsWith('@') && value !== null))
  .pipe(
    z
      .array(
        z.tuple([
          z
            .string()
            .regex(/^[A-Za-z_][\w.-]*$/, 'is not a name')
            .max(100),
          // Lines separate routes, too.
          z.coerce
            .string()
            .transform((value) => value.replace(/[\r\n]+/g, ';'))
            .pipe(z.string().max(2_000).regex(visible, hidden)),
        ]),
      )
      .max(50),
  )
  .refine(
    (entries) => entries.flat().join('').length <= mostMetadata,
    `must be ${mostMetadata} characters at most`,
  )
  .transform((entries): Record<string, string> => Object.fromEntries(entries))
  .refine(
    ({ version = '0' }) => Identifier.max(60).safeParse(version).success,
    'version: must be 60 letters, digits and . _ : @ + ~ - at most',
  );

/** What a client of Eureka says of its instance, and of that what is kept. All values may come as texts (XML). */
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
      renewalIntervalInSecs: Seconds.max(longestLease / 3).default(30),
      durationInSecs: Seconds.transform((seconds) => Math.min(seconds, longestLease)).default(90),
    })
    .prefault({}),
  metadata: Metadata,
  lastDirtyTimestamp: z.coerce.number().optional(),
});
export type Instance = z.infer<typeof Instance> & { instanceId: string };

/** What an operator decided counts before what the instance says. */
export const getStatus = ({ status, overriddenStatus }: Instance): Status =>
  overriddenStatus && overriddenStatus !== 'UNKNOWN' ? overriddenStatus : status;

/** A certificate is for a name; without one an address is surer, for not everybody can resolve a name. */
export function buildUrl({ hostName, ipAddr, port, securePort }: Instance): string {
  if (!port['@enabled'] && !securePort['@enabled']) {
    throw new BadRequestException('instance.port: neither port nor securePort is enabled');
  }
  const secure = !port['@enabled'];
  const host = secure ? hostName : (ipAddr ?? hostName);
  const bracketed = host.includes(':') && !host.startsWith('[') ? `[${host}]` : host;
  const text = `${secure ? 'https' : 'http'}://${bracketed}:${(secure ? securePort : port).$}`;
  if (!URL.canParse(text)) throw new BadRequestException(`instance.hostName: ${text} is not an address`);
  return new URL(text).origin;
}
