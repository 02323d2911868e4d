import { randomUUIDv7 } from 'node:crypto';
import { chmodSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { Rejection, type Message, type Reply } from '@jogakbo/contract';
import {
  config,
  secretMask,
  ReadSettings,
  SettingsRequested,
  SettingsChanged,
  SettingsReported,
  sharedApplication,
  type InForce,
} from '@jogakbo/contracts-config';
import { deriveKey, decrypt } from '@jogakbo/consistency';
import { WakeableSleep } from '@jogakbo/consistency/wakeable-sleep';
import {
  BrokerConnection,
  contextHeaders,
  encodeEvent,
  exchanges,
  Listener,
  Publisher,
  queues,
  RabbitClient,
  ServiceKey,
  type Ask,
  type Incoming,
} from '@jogakbo/messaging';
import type { Logger } from 'pino';
import type { z } from 'zod';
import { environmentName, readSetting, type WrongSetting } from './environment.ts';
import { isMarked, PlatformSettings, describeProblem, WrongSettings, type AnySettings } from './settings.ts';

/** The longest wait of a start for the config server, in milliseconds. */
const startTimeoutMs = 1_000;
/** Delays between later attempts to reach it, in milliseconds. */
const firstRetry = 250;
const lastRetry = 5_000;

/** The problem of a setting marked `environmentOnly` that comes from the config server. */
const notFromServer = 'comes from the environment only';

/** Finds wrong values from the config server, for keys that the service has. */
function checkGiven(
  classes: readonly AnySettings[],
  given: Record<string, string>,
): { key: string; problem: string }[] {
  const schemas = new Map(classes.flatMap(({ shape }) => Object.entries(shape)));
  return Object.entries(given).flatMap(([key, value]) => {
    if (!schemas.has(key)) return [];
    const schema = schemas.get(key)!;
    if (isMarked(schema, 'environmentOnly')) return [{ key, problem: notFromServer }];
    const result = schema.safeParse(value);
    return result.success ? [] : [{ key, problem: describeProblem(schema, value, result.error) }];
  });
}

/** Derives the key that encrypts the secrets of a service on their way from the config server. */
export const deriveClientKey = (service: string, password: string): Buffer =>
  deriveKey(password, `config client ${service}`);

/** Publishes soft state: at most once, to current listeners. */
export async function reportSettings(
  publisher: Publisher,
  source: string,
  { contract, data }: Message,
): Promise<void> {
  const event = { id: randomUUIDv7(), name: contract.name, source, time: new Date(), data };
  const { content, options } = encodeEvent(event, contextHeaders(undefined));
  await publisher.publish({
    exchange: exchanges.events(contract.name),
    routingKey: contract.name,
    content,
    options: { ...options, persistent: false },
  });
}

/** A value from the config server; a secret one is still encrypted. */
type Given = Reply<typeof ReadSettings>['sources'][number]['settings'][number] & {
  application: string;
  profile: string;
};

/** One setting of the service, with its state. */
interface Setting {
  field: string;
  schema: z.ZodType;
  instance: Record<string, unknown>;
  origin: InForce['origin'];
  /** The text in the environment. */
  raw: string | undefined;
  wrong?: WrongSetting | undefined;
  given?: Given | undefined;
  /** With `given` undefined: the default. */
  afterRestart?: { given: Given | undefined } | undefined;
  refused?: { given: Given | undefined; problem: string } | undefined;
}

/** What a running service needs in order to follow the config server. */
export interface Following {
  connection: BrokerConnection;
  publisher: Publisher;
  ask: Ask;
  instance: string;
  log: Logger;
}

const toName = ({ application, profile, version }: Given): string =>
  `version ${version} of ${application}/${profile}`;

/**
 * The settings of a service: environment > config server > defaults.
 *
 * - A wrong value in the environment stops the start. A wrong value from the config server is rejected: the previous
 *   value stays. Settings that are wrong in combination (`check`) stop the start, wherever they come from.
 * - The config server is optional: a start waits for it for a second at most, and not at all if none is running. Its last
 *   values are kept in a file, secrets encrypted.
 * - A setting marked `environmentOnly` comes from the environment only; a value from the config server is rejected.
 * - A changed live setting is in force at once in the injected objects; others wait for a restart.
 */
export class ServiceSettings {
  /** One per class, in the order given. */
  readonly instances: object[];
  readonly #classes: AnySettings[];
  readonly #settings: Setting[];
  readonly #platform: PlatformSettings;
  readonly #listeners: (() => void)[] = [];
  /** The newest valid value of each setting, for a start without the config server. */
  #good = new Map<string, Given>();
  #unknown: string[] = [];
  #following: Following | undefined;
  #listener: Listener | undefined;
  #wanted = false;
  #working = false;
  #closed = false;
  readonly #pause = new WakeableSleep();

  private constructor(
    readonly service: string,
    classes: AnySettings[],
    environment: NodeJS.ProcessEnv,
  ) {
    this.#classes = classes;
    this.instances = classes.map((Class) => new Class());
    this.#settings = classes.flatMap(({ shape }, index) =>
      Object.entries(shape).map(([field, schema]) =>
        readFromEnvironment(field, schema, this.instances[index] as Record<string, unknown>, environment),
      ),
    );
    this.#platform = this.instances[0] as PlatformSettings;
    this.#mustHaveKey();
  }

  /**
   * With separate logins or stored data, a key generated at start could not decrypt data of other instances or earlier
   * runs.
   */
  #mustHaveKey(): void {
    const setting = this.#settings.find(({ field }) => field === 'serviceKey');
    if (!setting || setting.wrong) return;
    const stores = this.#settings.some(({ field }) => field === 'databaseUrl');
    if (this.#platform.serviceKey) return;
    if (this.#platform.brokerOperator === undefined && !stores) {
      this.#platform.serviceKey = ServiceKey.random();
      return;
    }
    const reason = stores ? 'the database' : 'BROKER_OPERATOR';
    setting.wrong = {
      key: environmentName(setting.field),
      origin: 'environment',
      problem: `is missing: with ${reason} every service needs the key that the deploy step generates`,
    };
  }

  /**
   * Reads and checks all settings as a whole. Keeps no connection open.
   * @param classes `PlatformSettings` first
   * @throws WrongSettings with every wrong key of the environment, and every key that is missing in all sources
   */
  static async open(
    service: string,
    classes: AnySettings[],
    environment: NodeJS.ProcessEnv,
  ): Promise<ServiceSettings> {
    const settings = new ServiceSettings(service, classes, environment);
    const { rabbitmqUrl, configPassword } = settings.#platform;
    // The config server can supply missing values, but cannot repair wrong ones. No login crosses a forbidden network.
    if (
      settings.#wrong.some(({ origin }) => origin !== 'not set') ||
      !rabbitmqUrl ||
      !configPassword ||
      settings.#findWrongTogether([PlatformSettings]).length > 0
    ) {
      settings.#mustBeValid();
      return settings;
    }
    settings.#take(settings.#readCache(), 'start');
    const answer = await settings.#askAtStart();
    if (answer) settings.#take(answer, 'start');
    settings.#mustBeValid();
    settings.#writeCache();
    return settings;
  }

  get #wrong(): WrongSetting[] {
    return this.#settings.flatMap(({ wrong }) => wrong ?? []);
  }

  #mustBeValid(): void {
    const wrong = this.#wrong.length > 0 ? this.#wrong : this.#findWrongTogether(this.#classes);
    if (wrong.length > 0) throw new WrongSettings(wrong);
  }

  /** Runs the checks of the classes, also on values from the config server: an invalid combination stops the start. */
  #findWrongTogether(classes: AnySettings[]): WrongSetting[] {
    return classes.flatMap((Class) => {
      const instance = this.instances[this.#classes.indexOf(Class)];
      const problems: Record<string, string | false | undefined> =
        Class.check?.(instance as never, this.#platform) ?? {};
      return Object.entries(problems).flatMap(([field, problem]) => {
        const { raw, origin } = this.#settings.find((setting) => setting.field === field)!;
        const isSet = raw !== undefined || origin !== 'default';
        return problem ? { key: environmentName(field), origin: isSet ? origin : 'not set', problem } : [];
      });
    });
  }

  /** Runs after every change of live settings. */
  onChange(listener: () => void): void {
    this.#listeners.push(listener);
  }

  /** Applies changes from now on, and those since the beginning of the start. */
  async follow(following: Following): Promise<void> {
    if (!this.#platform.configPassword) return;
    this.#following = following;
    for (const setting of this.#settings) if (setting.refused) this.#logRefused(setting);
    this.#listener = new Listener(
      following.connection,
      (message) => this.#receive(message),
      () => this.#refresh(),
    );
    await this.#listener.open(SettingsChanged.name, SettingsRequested.name);
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#pause.wake();
    await this.#listener?.close();
  }

  #receive({ pattern, data }: Incoming): void {
    if (pattern === SettingsRequested.name) {
      const { ask, application, proposed } = SettingsRequested.input.parse(data);
      if (application === this.service) {
        void this.#reportAll(ask, proposed).catch((error: unknown) =>
          this.#following!.log.warn({ err: error }, 'the settings in force could not be reported'),
        );
      }
      return;
    }
    const { application, profile, label } = SettingsChanged.input.parse(data);
    const isOurs =
      (application === this.service || application === sharedApplication) &&
      (profile === 'default' || this.#profiles.includes(profile)) &&
      label === this.#platform.configLabel;
    if (isOurs) this.#refresh();
  }

  get #profiles(): string[] {
    return this.#platform.configProfiles.split(',');
  }

  #refresh(): void {
    this.#wanted = true;
    this.#pause.wake();
    if (!this.#working) void this.#askUntilAnswered();
  }

  /** Sends one request at a time. A change during a request causes another one. Never throws. */
  async #askUntilAnswered(): Promise<void> {
    this.#working = true;
    const { ask, log } = this.#following!;
    for (let retry = firstRetry; this.#wanted && !this.#closed;) {
      this.#wanted = false;
      try {
        this.#take(await this.#ask(ask, 2_000), 'run');
        this.#writeCache();
        retry = firstRetry;
      } catch (error) {
        if (retry === firstRetry) {
          // An outage ends without intervention. A rejection needs an operator.
          const level = error instanceof Rejection ? 'warn' : 'debug';
          log[level]({ err: error }, 'no settings from the config server; the current ones stay in force');
        }
        this.#wanted = true;
        await this.#pause.sleep(retry);
        retry = Math.min(retry * 2, lastRetry);
      }
    }
    this.#working = false;
  }

  async #ask(ask: Ask, timeout: number): Promise<Map<string, Given>> {
    const { configLabel: label } = this.#platform;
    const request = { application: this.service, profiles: this.#profiles, label };
    const { sources } = await ask(ReadSettings, request, { timeout });
    const given = new Map<string, Given>();
    for (const { application, profile, settings } of sources) {
      for (const one of settings)
        if (!given.has(one.key)) given.set(one.key, { ...one, application, profile });
    }
    return given;
  }

  /** Uses a separate connection, and closes it. Undefined without an answer in time. */
  async #askAtStart(): Promise<Map<string, Given> | undefined> {
    const until = Date.now() + startTimeoutMs;
    const connection = new BrokerConnection({ operator: this.#platform.brokerOperator });
    const asked = (async () => {
      try {
        await connection.open(this.#platform.rabbitmqUrl, `${this.service} asks for settings`, 1);
        if (!(await hasConfigServer(connection))) return undefined;
        const publisher = new Publisher(connection);
        await publisher.open();
        const client = new RabbitClient(connection, publisher, this.service);
        await client.connect();
        return await this.#ask(client.ask, Math.max(1, until - Date.now()));
      } finally {
        void connection.close().catch(() => {});
      }
    })().catch(() => undefined);
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<undefined>(
      (resolve) => (timer = setTimeout(() => resolve(undefined), startTimeoutMs)),
    );
    return Promise.race([asked, late]).finally(() => clearTimeout(timer));
  }

  /** Checks all values from the config server, and applies the valid ones. At the start nothing is in use yet. */
  #take(given: ReadonlyMap<string, Given>, when: 'start' | 'run'): void {
    const good = new Map<string, Given>();
    let changed = false;
    for (const setting of this.#settings) {
      const one = given.get(setting.field);
      if (isMarked(setting.schema, 'environmentOnly')) {
        if (one) this.#refuse(setting, one, notFromServer, when);
        else setting.refused = undefined;
        continue;
      }
      const isFixed = setting.origin === 'environment' || setting.origin === 'file';
      if (isFixed && !one) continue;
      const read = this.#read(setting, one);
      if ('problem' in read) {
        const before = this.#good.get(setting.field);
        if (before) good.set(setting.field, before);
        this.#refuse(setting, one, read.problem, when);
        continue;
      }
      setting.refused = undefined;
      if (one) good.set(setting.field, one);
      if (!isFixed && this.#put(setting, one, read.value, when)) changed = true;
    }
    this.#good = good;
    const fields = new Set(this.#settings.map(({ field }) => field));
    this.#unknown = [...given.values()]
      .filter(({ key, application }) => application === this.service && !fields.has(key))
      .map(({ key }) => key);
    if (changed && when === 'run') this.#listeners.forEach((listener) => listener());
  }

  #read({ field, schema }: Setting, given: Given | undefined): { value: unknown } | { problem: string } {
    let text = given?.value;
    if (given?.secret) {
      try {
        text = decrypt(deriveClientKey(this.service, this.#platform.configPassword!), given.value, field);
      } catch {
        return { problem: 'cannot be decrypted with the password of this service' };
      }
    }
    const result = schema.safeParse(text);
    return result.success ? { value: result.data } : { problem: describeProblem(schema, text, result.error) };
  }

  /** Returns true if a value in use was changed. */
  #put(setting: Setting, given: Given | undefined, value: unknown, when: 'start' | 'run'): boolean {
    const { field, instance, schema } = setting;
    const isSame = isDeepStrictEqual(value, instance[field]);
    if (when === 'run' && !isSame && !isMarked(schema, 'live')) {
      if (!isDeepStrictEqual(setting.afterRestart, { given }))
        this.#logChange('info', setting, given, `${field} changed; it takes effect after a restart`);
      setting.afterRestart = { given };
      return false;
    }
    Object.assign(setting, { given, afterRestart: undefined, wrong: undefined });
    setting.origin = given ? 'config server' : 'default';
    if (isSame) return false;
    instance[field] = value;
    if (when === 'run') this.#logChange('info', setting, given, `${field} changed`);
    return true;
  }

  /** Logs a change of a setting, without its value. */
  #logChange(
    level: 'info' | 'warn',
    { field }: Setting,
    given: Given | undefined,
    text: string,
    problem?: string,
  ): void {
    const from = given && { from: toName(given), by: given.by };
    this.#following?.log[level]({ setting: field, ...from, ...(problem && { problem }) }, text);
  }

  #refuse(setting: Setting, given: Given | undefined, problem: string, when: 'start' | 'run'): void {
    // Missing in all sources since the start.
    if (!given && setting.wrong) return;
    const isNew = !isDeepStrictEqual(setting.refused, { given, problem });
    setting.refused = { given, problem };
    if (setting.wrong && problem !== notFromServer)
      setting.wrong = { ...setting.wrong, origin: toName(given!), problem };
    if (isNew && when === 'run') this.#logRefused(setting);
  }

  #logRefused(setting: Setting): void {
    const { given, problem } = setting.refused!;
    this.#logChange(
      'warn',
      setting,
      given,
      `${setting.field} stays as it is: the value from the config server is wrong`,
      problem,
    );
  }

  async #reportAll(ask: string, proposed: string | undefined): Promise<void> {
    const { publisher, instance } = this.#following!;
    const settings = this.#settings.map((setting) => toInForce(setting));
    const problems = proposed === undefined ? undefined : this.#check(ask, proposed);
    const report = { ask, instance, settings, unknown: this.#unknown, ...(problems && { problems }) };
    await reportSettings(publisher, this.service, SettingsReported(report));
  }

  /** Checks values that the config server is asked to store. */
  #check(ask: string, proposed: string): { key: string; problem: string }[] {
    const text = decrypt(deriveClientKey(this.service, this.#platform.configPassword!), proposed, ask);
    return checkGiven(this.#classes, JSON.parse(text) as Record<string, string>);
  }

  get #cachePath(): string | undefined {
    const { configCache } = this.#platform;
    return configCache && join(configCache, `${this.service}.json`);
  }

  #readCache(): Map<string, Given> {
    try {
      return new Map(JSON.parse(readFileSync(this.#cachePath!, 'utf8')) as [string, Given][]);
    } catch {
      return new Map();
    }
  }

  /** Never throws: a full disk must not stop a service. */
  #writeCache(): void {
    const path = this.#cachePath;
    if (!path || isDeepStrictEqual(this.#readCache(), this.#good)) return;
    try {
      mkdirSync(this.#platform.configCache!, { recursive: true, mode: 0o700 });
      const draft = `${path}.${process.pid}.tmp`;
      writeFileSync(draft, JSON.stringify([...this.#good]), { mode: 0o600 });
      chmodSync(draft, 0o600);
      renameSync(draft, path);
    } catch (error) {
      this.#following?.log.warn({ err: error }, 'the settings could not be cached for the next start');
    }
  }
}

/** Reads a setting from the environment, else its default. */
function readFromEnvironment(
  field: string,
  schema: z.ZodType,
  instance: Record<string, unknown>,
  environment: NodeJS.ProcessEnv,
): Setting {
  const key = environmentName(field);
  const read = readSetting(key, environment, isMarked(schema, 'secret'));
  const raw = 'problem' in read ? undefined : read.value;
  const setting: Setting = { field, schema, instance, origin: toOrigin(read), raw };
  if ('problem' in read) return { ...setting, wrong: read };
  const result = schema.safeParse(read.value);
  if (!result.success) {
    return {
      ...setting,
      wrong: { key, origin: read.origin, problem: describeProblem(schema, read.value, result.error) },
    };
  }
  instance[field] = result.data;
  return setting;
}

const toOrigin = ({ origin }: { origin: string }): InForce['origin'] =>
  origin === 'not set' ? 'default' : origin === 'environment' ? 'environment' : 'file';

/** Treats every value from a separate file as secret. */
function toInForce({ field, schema, instance, origin, raw, given, afterRestart, refused }: Setting): InForce {
  const value = instance[field];
  const isSecret = isMarked(schema, 'secret') || origin === 'file' || given?.secret === true;
  // A schema may convert a text to a function.
  const text = typeof value === 'string' ? value : (JSON.stringify(value) ?? given?.value ?? raw ?? '');
  const by = (one: Given | undefined) => (one ? `${toName(one)} by ${one.by}` : 'no longer set');
  return {
    key: field,
    value: value === undefined ? null : isSecret ? secretMask : maskPassword(text),
    origin,
    live: isMarked(schema, 'live'),
    ...(given && { from: by(given) }),
    ...(afterRestart && { afterRestart: by(afterRestart.given) }),
    ...(refused && { refused: `${by(refused.given)}: ${refused.problem}` }),
  };
}

/** A URL may contain a password, whatever the name of its setting. */
const maskPassword = (text: string): string =>
  text.replace(/(:\/\/[^:/@\s]*:)[^@/\s]+@/g, `$1${secretMask}@`);

/** Whether a config server is running. Uses a separate channel, because a missing queue closes it. */
async function hasConfigServer({ model }: BrokerConnection): Promise<boolean> {
  const channel = await model!.createChannel();
  channel.on('error', () => {});
  const { consumerCount } = await channel
    .checkQueue(queues.queries(config.name))
    .catch(() => ({ consumerCount: 0 }));
  return consumerCount > 0;
}
