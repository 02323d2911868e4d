import { CallPolicyChange, longestInterval } from '@jogakbo/contract';
import { ServiceKey, TrafficSplit } from '@jogakbo/messaging';
import { z } from 'zod';
import { environmentName, readSetting, type WrongSetting } from './environment.ts';
import { findPlaintext, type NetworkPolicy } from './network-encryption.ts';

type Shape = Record<string, z.ZodType>;

/** A class whose instances hold checked settings: extend it, list it in `@Service`, inject it. */
export interface SettingsClass<S extends Shape> {
  new (): z.output<z.ZodObject<S>>;
  readonly shape: S;
  readonly check: Check<z.output<z.ZodObject<S>>> | undefined;
}

/**
 * Finds what is wrong with several settings together, by field: what is missing outside local mode, for example. It runs
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
 * @param shape a zod schema for each setting; give a default wherever one is sensible
 * @param check what must hold of several settings together
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

/** A setting that is read each time it is used, or watched (`ServiceSettings.onChange`): a change needs no restart. */
export const live = <T extends z.ZodType>(schema: T): T => schema.meta({ ...schema.meta(), live: true });

/** A setting whose value is shown to nobody, and whose file must be closed to other users. */
export const secret = <T extends z.ZodType>(schema: T): T => schema.meta({ ...schema.meta(), secret: true });

/**
 * A setting that decides whom the service trusts, or which address it listens on, connects to or names to others. The
 * config server does not keep it and the service does not take it from there: one stolen login must not decide that.
 */
export const environmentOnly = <T extends z.ZodType>(schema: T): T =>
  schema.meta({ ...schema.meta(), environmentOnly: true });

export const isMarked = (schema: z.ZodType, mark: 'live' | 'secret' | 'environmentOnly'): boolean =>
  schema.meta()?.[mark] === true;

/** All settings of a service that are wrong, at once. */
export class WrongSettings extends Error {
  override readonly name = 'WrongSettings';
  constructor(readonly wrong: WrongSetting[]) {
    super(wrong.map(({ key, origin, problem }) => `${key} (${origin}): ${problem}`).join('\n'));
  }
}

/**
 * A setting whose text is JSON. What is wrong with it is told by place and never by content: it may hold secrets.
 * @param schema what the text has to say
 */
export const json = <T extends z.ZodType>(schema: T) =>
  z.string().transform((text, context): z.output<T> => {
    let said: unknown;
    try {
      said = JSON.parse(text);
    } catch {
      context.addIssue('is not JSON');
      return z.NEVER;
    }
    const read = schema.safeParse(said);
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
      // One address, not the two that the name may stand for: Fastify would make a server of its own for the second.
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
        'true: another process of the same user may listen on the same port, so that one instance follows another without ' +
          'a gap (Linux)',
      ),
  ),
  localMode: environmentOnly(
    z
      .stringbool()
      .default(false)
      .describe(
        'true on a machine where the store is only tried out: what is not configured is then simulated, and the service ' +
          'says so',
      ),
  ),
  plaintextNetwork: environmentOnly(
    z
      .enum(['refuse', 'allow'])
      .default('refuse')
      .describe(
        'allow: outside local mode, too, the broker and the database may be reached without TLS, because the network to ' +
          'them is private or encrypted',
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
        'login of those who operate the broker; set it where every service has a login of its own: then a message must come from the service that may send it',
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
          'secret key of this service, the same for all its instances: 32 random bytes in base64url; several, separated by ' +
            'commas, while it is rotated: the first is current. Required with BROKER_OPERATOR or a database; without those ' +
            'and this, each process makes one of its own',
        ),
    ),
  ),
  logLevel: live(
    z
      .enum(['trace', 'debug', 'info', 'warn', 'error'])
      .default('info')
      .describe('least level that is logged'),
  ),
  announceEvery: z.coerce
    .number()
    .min(0.1)
    .max(longestInterval)
    .default(2)
    .describe('seconds between announcements'),
  retryLadder: environmentOnly(
    z
      .string()
      .regex(/^\d+(,\d+)*$/, 'milliseconds, separated by commas')
      .optional()
      .describe('waiting times before further attempts; the same for all services of one broker'),
  ),
  concurrency: live(
    z.coerce
      .number()
      .int()
      .min(1)
      .default(64)
      .describe('questions that are answered at a time; those beyond are refused at once'),
  ),
  callPolicies: live(
    json(z.record(z.string(), CallPolicyChange))
      .default({})
      .describe('JSON: how to ask other services, where that differs: {"search":{"retries":0}}'),
  ),
  trafficSplit: live(
    json(TrafficSplit)
      .default({})
      .describe(
        'JSON: percent of the calls of services by version, the same for all: {"orders":{"1.4.0":10}}',
      ),
  ),
  configPassword: environmentOnly(
    secret(
      z
        .string()
        .min(16)
        .optional()
        .describe('of this service at the config server; without it the service asks no config server'),
    ),
  ),
  configProfiles: environmentOnly(
    z
      .string()
      .regex(/^[\w-]+(,[\w-]+)*$/, 'names, separated by commas')
      .default('default')
      .describe('profiles to ask the config server for; of two the later one goes first'),
  ),
  configLabel: environmentOnly(
    z.string().min(1).default('main').describe('label to ask the config server for'),
  ),
  configCache: environmentOnly(
    z
      .string()
      .min(1)
      .optional()
      .describe('folder that keeps what the config server said last, for a start without it'),
  ),
};

/** The settings that every service has. */
export class PlatformSettings extends settings(platformShape, ({ rabbitmqUrl }, platform) => ({
  rabbitmqUrl: findPlaintext(rabbitmqUrl, platform),
})) {}

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
    databasePool: z.coerce.number().int().min(1).max(100).default(6).describe('connections at most'),
  },
  ({ databaseUrl }, platform) => ({ databaseUrl: findPlaintext(databaseUrl, platform) }),
) {}

/**
 * Reads and checks several groups of settings as a whole.
 * @param environment the process's variables
 * @returns one instance per class, in the order given
 * @throws WrongSettings that lists every wrong key of all groups
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

/** What is wrong with a value, without the value. */
export function describeProblem(schema: z.ZodType, value: string | undefined, error: z.ZodError): string {
  if (value !== undefined) return error.issues.map(({ message }) => message).join('; ');
  return schema.description ? `is missing: ${schema.description}` : 'is missing';
}
