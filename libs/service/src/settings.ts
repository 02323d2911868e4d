import { CallPolicyChange, maxAnnounceInterval } from '@jogakbo/contract';
import { ServiceKey, TrafficSplit } from '@jogakbo/messaging';
import { z } from 'zod';
import { environmentName, readSetting, type WrongSetting } from './environment.ts';
import { describeMissingTls, type NetworkPolicy } from './network-encryption.ts';
import { environmentOnly, isMarked, live, secret } from './setting-marks.ts';
import { telemetryShape } from './telemetry-settings.ts';

export { environmentOnly, isMarked, live, secret };

type Shape = Record<string, z.ZodType>;

/** A class whose instances hold checked settings: extend it, list it in `@Service`, inject it. */
export interface SettingsClass<S extends Shape> {
  new (): z.output<z.ZodObject<S>>;
  readonly shape: S;
  readonly check: Check<z.output<z.ZodObject<S>>> | undefined;
}

/**
 * Checks a combination of settings, for example what is required outside local mode. Returns problems by field. It runs
 * once, at the start, with settings that are valid one by one.
 */
export type Check<T> = (settings: T, platform: NetworkPolicy) => Record<string, string | false | undefined>;

/** Any class of settings. */
export type AnySettings = {
  new (): object;
  readonly shape: Shape;
  readonly check: Check<never> | undefined;
};

/**
 * Declares settings. A field `smtpUrl` is read from the environment variable SMTP_URL, or from the file that
 * SMTP_URL_FILE names. Values arrive as text: use z.coerce and z.stringbool.
 * @param shape a zod schema for each setting, with a default if there is a sensible one
 * @param check checks combinations of settings
 */
export function settings<S extends Shape>(
  shape: S,
  check?: Check<z.output<z.ZodObject<S>>>,
): SettingsClass<S> {
  return class {
    static readonly shape = shape;
    static readonly check = check;
  } as unknown as SettingsClass<S>;
}

/** All wrong settings of a service, in one error. */
export class WrongSettings extends Error {
  override readonly name = 'WrongSettings';
  constructor(readonly wrong: WrongSetting[]) {
    super(wrong.map(({ key, origin, problem }) => `${key} (${origin}): ${problem}`).join('\n'));
  }
}

/**
 * A setting with JSON as text. Problems name the place and never the content, which may be secret.
 * @param schema of the parsed JSON
 */
export const json = <T extends z.ZodType>(schema: T) =>
  z.string().transform((text, context): z.output<T> => {
    let value: unknown;
    try {
      value = JSON.parse(text);
    } catch {
      context.addIssue('is not JSON');
      return z.NEVER;
    }
    const read = schema.safeParse(value);
    if (read.success) return read.data;
    for (const { path, message } of read.error.issues)
      context.addIssue(path.length > 0 ? `${path.join('.')}: ${message}` : message);
    return z.NEVER;
  });

const platformShape = {
  host: environmentOnly(
    z
      .string()
      .default('127.0.0.1')
      // `localhost` may resolve to two addresses: Fastify would create a second server for the other one.
      .transform((host) => (host === 'localhost' ? '127.0.0.1' : host))
      .describe('address to listen on'),
  ),
  port: environmentOnly(
    z.coerce.number().int().min(0).max(65_535).default(0).describe('port to listen on; 0 takes a free one'),
  ),
  reusePort: environmentOnly(
    z
      .stringbool()
      .default(false)
      .describe(
        'true: another process of the same user may listen on the same port, so that an instance can be replaced without ' +
          'a gap (Linux)',
      ),
  ),
  localMode: environmentOnly(
    z
      .stringbool()
      .default(false)
      .describe(
        'true on a machine that only tries out the services: dependencies that are not configured are simulated, and marked ' +
          'as such',
      ),
  ),
  plaintextNetwork: environmentOnly(
    z
      .enum(['refuse', 'allow'])
      .default('refuse')
      .describe(
        'allow: connections to the broker and the database need no TLS outside local mode, because their network is ' +
          'private or encrypted',
      ),
  ),
  rabbitmqUrl: environmentOnly(
    secret(
      z
        .url({ protocol: /^amqps?$/ })
        .describe(
          'amqp://user:password@host:port/vhost, or with a certificate amqps://user@host:port/vhost' +
            '?cacertfile=…&certfile=…&keyfile=…&auth_mechanism=external',
        ),
    ),
  ),
  brokerOperator: environmentOnly(
    z
      .string()
      .min(1)
      .optional()
      .describe(
        'login of the operator of the broker; set it if, and only if, every service has its own login: it switches on the ' +
          'checks of senders, so that only messages of authorized ones are handled',
      ),
  ),
  serviceKey: environmentOnly(
    secret(
      z
        .string()
        .transform((text, context): ServiceKey => {
          try {
            return ServiceKey.parse(text);
          } catch (error) {
            context.addIssue((error as Error).message);
            return z.NEVER;
          }
        })
        .optional()
        .describe(
          'secret key of this service, the same for all its instances: 32 random bytes in base64url; during a rotation ' +
            'several, separated by commas, the current one first. Required with BROKER_OPERATOR or a database; otherwise ' +
            'each process generates one',
        ),
    ),
  ),
  logLevel: live(
    z
      .enum(['trace', 'debug', 'info', 'warn', 'error'])
      .default('info')
      .describe('lowest level that is logged'),
  ),
  announceEvery: z.coerce
    .number()
    .min(0.1)
    .max(maxAnnounceInterval)
    .default(2)
    .describe('seconds between heartbeats; changes are announced at once'),
  retryDelays: environmentOnly(
    z
      .string()
      .regex(/^\d+(,\d+)*$/, 'milliseconds, separated by commas')
      .optional()
      .describe('delays before retries, in milliseconds; the same for all services of one broker'),
  ),
  concurrency: live(
    z.coerce
      .number()
      .int()
      .min(1)
      .default(64)
      .describe('queries that are handled at a time; further ones are rejected at once'),
  ),
  callPolicies: live(
    json(z.record(z.string(), CallPolicyChange))
      .default({})
      .describe('JSON: changes to the call policies of other services: {"search":{"retries":0}}'),
  ),
  trafficSplit: live(
    json(TrafficSplit)
      .default({})
      .describe(
        'JSON: percentage of the calls by service and version, the same for all services: {"loans":{"1.4.0":10}}',
      ),
  ),
  ...telemetryShape,
  configPassword: environmentOnly(
    secret(
      z
        .string()
        .min(16)
        .optional()
        .describe('password at the config server; without it the service uses no config server'),
    ),
  ),
  configProfiles: environmentOnly(
    z
      .string()
      .regex(/^[\w-]+(,[\w-]+)*$/, 'names, separated by commas')
      .default('default')
      .describe('profiles to read from the config server; later ones take precedence'),
  ),
  configLabel: environmentOnly(
    z.string().min(1).default('main').describe('label to read from the config server'),
  ),
  configCache: environmentOnly(
    z
      .string()
      .min(1)
      .optional()
      .describe('folder for the last values from the config server, for a start without it'),
  ),
};

/** The settings that every service has. */
export class PlatformSettings extends settings(
  platformShape,
  ({ rabbitmqUrl, otelExporterOtlpEndpoint }, platform) => ({
    rabbitmqUrl: describeMissingTls(rabbitmqUrl, platform),
    otelExporterOtlpEndpoint: describeMissingTls(otelExporterOtlpEndpoint, platform),
  }),
) {}

/** The settings of a service that has a database. */
export class DatabaseSettings extends settings(
  {
    databaseUrl: environmentOnly(
      secret(
        z
          .url({ protocol: /^postgres(ql)?$/ })
          .describe(
            'postgres://user:password@host:port/database, or with a certificate postgres://user@host:port/database' +
              '?sslmode=verify-full&sslrootcert=…&sslcert=…&sslkey=…',
          ),
      ),
    ),
    databasePool: z.coerce.number().int().min(1).max(100).default(6).describe('connection limit'),
  },
  ({ databaseUrl }, platform) => ({ databaseUrl: describeMissingTls(databaseUrl, platform) }),
) {}

/**
 * Reads and checks several groups of settings as a whole, from the environment only: for commands and tools. A service reads
 * its settings with `ServiceSettings`, which also asks the config server.
 * @param environment the process's variables
 * @returns one instance per class, in the order given
 * @throws WrongSettings with every wrong key of all groups
 */
export function loadSettings<C extends AnySettings[]>(
  classes: [...C],
  environment: NodeJS.ProcessEnv,
): { [I in keyof C]: InstanceType<C[I]> } {
  const wrong: WrongSetting[] = [];
  const instances = classes.map((Class) => {
    const instance = new Class() as Record<string, unknown>;
    for (const [field, schema] of Object.entries(Class.shape)) {
      const read = readSetting(environmentName(field), environment, isMarked(schema, 'secret'));
      if ('problem' in read) {
        wrong.push(read);
        continue;
      }
      const result = schema.safeParse(read.value);
      if (result.success) instance[field] = result.data;
      else
        wrong.push({
          key: read.key,
          origin: read.origin,
          problem: describeProblem(schema, read.value, result.error),
        });
    }
    return instance;
  });
  if (wrong.length > 0) throw new WrongSettings(wrong);
  return instances as { [I in keyof C]: InstanceType<C[I]> };
}

/** Describes what is wrong with a value, without the value. */
export function describeProblem(schema: z.ZodType, value: string | undefined, error: z.ZodError): string {
  if (value !== undefined) return error.issues.map(({ message }) => message).join('; ');
  return schema.description ? `is missing: ${schema.description}` : 'is missing';
}
