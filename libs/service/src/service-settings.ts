import { randomUUIDv7 } from 'node:crypto';
import { chmodSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { Rejection, type Message, type Reply } from '@jogakbo/contract';
import {
  config,
  masked,
  ReadSettings,
  SettingsAsked,
  SettingsChanged,
  SettingsTold,
  shared,
  type InForce,
} from '@jogakbo/contracts-config';
import { deriveKey, decrypt } from '@jogakbo/consistency';
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

/** How long a start waits for the config server at most, in milliseconds. */
const patienceAtStart = 1_000;
/** Waiting times between attempts to reach it later, in milliseconds. */
const firstRetry = 250;
const lastRetry = 5_000;

/** What is wrong with a setting marked `environmentOnly` that the config server gives. */
const notFromServer = 'comes from the environment only';

/** What is wrong with values by key, of those that a service has, where the config server gives them. */
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

/** The key that the values of a service's secrets are sealed with on their way to it. */
export const clientKey = (service: string, password: string): Buffer =>
  deriveKey(password, `config client ${service}`);

/** Announces soft state: at most once, to whoever listens now. */
export async function reportSettings(
  publisher: Publisher,
  source: string,
  { contract, data }: Message,
): Promise<void> {
  const event = { id: randomUUIDv7(), name: contract.name, source, time: new Date(), data };
  const { content, options } = encodeEvent(event, contextHeaders(undefined));
  await publisher.publish({
    ...{ exchange: exchanges.events(contract.name), routingKey: contract.name, content },
    options: { ...options, persistent: false },
  });
}

/** A value as the config server gave it: a secret one is still sealed. */
type Given = Reply<typeof ReadSettings>['sources'][number]['settings'][number] & {
  application: string;
  profile: string;
};

/** One setting of the service, and where it stands. */
interface Held {
  field: string;
  schema: z.ZodType;
  instance: Record<string, unknown>;
  origin: InForce['origin'];
  /** What the environment says, as it says it. */
  said: string | undefined;
  wrong?: WrongSetting | undefined;
  given?: Given | undefined;
  /** Given undefined: the default. */
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
 * - A wrong value of the environment stops the start; one of the config server is refused and stops nothing: what was
 *   good before stays. Settings that are wrong together (`check`) stop the start, wherever they come from.
 * - Nobody needs the config server: a start asks it for a second at most, and not at all where none is there. What it
 *   said last is kept in a file, secrets sealed.
 * - A setting marked `environmentOnly` is taken from there alone; what the config server says of it is refused.
 * - A change of a live setting is in force at once in the objects that were injected; others wait for a restart.
 */
export class ServiceSettings {
  /** One per class, in the order given. */
  readonly instances: object[];
  readonly #classes: AnySettings[];
  readonly #held: Held[];
  readonly #platform: PlatformSettings;
  readonly #listeners: (() => void)[] = [];
  /** The newest value of each setting that fitted: what a start without the config server takes. */
  #good = new Map<string, Given>();
  #unknown: string[] = [];
  #following: Following | undefined;
  #listener: Listener | undefined;
  #wanted = false;
  #working = false;
  #closed = false;
  #wake = () => {};

  private constructor(
    readonly service: string,
    classes: AnySettings[],
    environment: NodeJS.ProcessEnv,
  ) {
    this.#classes = classes;
    this.instances = classes.map((Class) => new Class());
    this.#held = classes.flatMap(({ shape }, index) =>
      Object.entries(shape).map(([field, schema]) =>
        hold(field, schema, this.instances[index] as Record<string, unknown>, environment),
      ),
    );
    this.#platform = this.instances[0] as PlatformSettings;
    this.#mustHaveKey();
  }

  /**
   * Where services are told apart, or something is stored, a key made at start would not decrypt what another instance or
   * an earlier run made.
   */
  #mustHaveKey(): void {
    const held = this.#held.find(({ field }) => field === 'serviceKey');
    if (!held || held.wrong) return;
    const stores = this.#held.some(({ field }) => field === 'databaseUrl');
    if (this.#platform.serviceKey) return;
    if (this.#platform.brokerOperator === undefined && !stores) {
      this.#platform.serviceKey = ServiceKey.random();
      return;
    }
    const reason = stores ? 'the database' : 'BROKER_OPERATOR';
    held.wrong = {
      key: environmentName(held.field),
      origin: 'environment',
      problem: `is missing: with ${reason} every service needs the key that the deploy step gives it`,
    };
  }

  /**
   * Reads and checks all settings as a whole. Nothing stays open.
   * @param classes `PlatformSettings` first
   * @throws WrongSettings that lists every wrong key of the environment, and what is missing everywhere
   */
  static async open(
    service: string,
    classes: AnySettings[],
    environment: NodeJS.ProcessEnv,
  ): Promise<ServiceSettings> {
    const settings = new ServiceSettings(service, classes, environment);
    const { rabbitmqUrl, configPassword } = settings.#platform;
    // What is missing may still come; what is wrong stays wrong, and no login goes over a network that is refused.
    if (
      settings.#wrong.some(({ origin }) => origin !== 'not set') ||
      !rabbitmqUrl ||
      !configPassword ||
      settings.#findWrongTogether([PlatformSettings]).length > 0
    ) {
      settings.#mustBeRight();
      return settings;
    }
    settings.#take(settings.#readCache(), 'start');
    const answer = await settings.#askAtStart();
    if (answer) settings.#take(answer, 'start');
    settings.#mustBeRight();
    settings.#writeCache();
    return settings;
  }

  get #wrong(): WrongSetting[] {
    return this.#held.flatMap(({ wrong }) => wrong ?? []);
  }

  #mustBeRight(): void {
    const wrong = this.#wrong.length > 0 ? this.#wrong : this.#findWrongTogether(this.#classes);
    if (wrong.length > 0) throw new WrongSettings(wrong);
  }

  /** What the classes' own checks find, also in values of the config server: what must not run does not start. */
  #findWrongTogether(classes: AnySettings[]): WrongSetting[] {
    return classes.flatMap((Class) => {
      const instance = this.instances[this.#classes.indexOf(Class)];
      const problems: Record<string, string | false | undefined> =
        Class.check?.(instance as never, this.#platform) ?? {};
      return Object.entries(problems).flatMap(([field, problem]) => {
        const { said, origin } = this.#held.find((held) => held.field === field)!;
        const isSet = said !== undefined || origin !== 'default';
        return problem ? { key: environmentName(field), origin: isSet ? origin : 'not set', problem } : [];
      });
    });
  }

  /** Runs after every change of live settings. */
  onChange(listener: () => void): void {
    this.#listeners.push(listener);
  }

  /** Takes over what changes from now on, and what changed since the start was begun. */
  async follow(following: Following): Promise<void> {
    if (!this.#platform.configPassword) return;
    this.#following = following;
    for (const held of this.#held) if (held.refused) this.#sayRefused(held);
    this.#listener = new Listener(
      following.connection,
      (message) => this.#hear(message),
      () => this.#refresh(),
    );
    await this.#listener.open(SettingsChanged.name, SettingsAsked.name);
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#wake();
    await this.#listener?.close();
  }

  #hear({ pattern, data }: Incoming): void {
    if (pattern === SettingsAsked.name) {
      const { ask, application, proposed } = SettingsAsked.input.parse(data);
      if (application === this.service) {
        void this.#tellAll(ask, proposed).catch((error: unknown) =>
          this.#following!.log.warn({ err: error }, 'the settings in force could not be told'),
        );
      }
      return;
    }
    const { application, profile, label } = SettingsChanged.input.parse(data);
    const isOurs =
      (application === this.service || application === shared) &&
      (profile === 'default' || this.#profiles.includes(profile)) &&
      label === this.#platform.configLabel;
    if (isOurs) this.#refresh();
  }

  get #profiles(): string[] {
    return this.#platform.configProfiles.split(',');
  }

  #refresh(): void {
    this.#wanted = true;
    this.#wake();
    if (!this.#working) void this.#askUntilAnswered();
  }

  /** One question at a time; what changes while it is under way is asked for after it. Never throws. */
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
          // Being away is nothing: it comes back. A refusal is somebody's to mend.
          const level = error instanceof Rejection ? 'warn' : 'debug';
          log[level]({ err: error }, 'the config server gives nothing; the settings stay as they are');
        }
        this.#wanted = true;
        await this.#pause(retry);
        retry = Math.min(retry * 2, lastRetry);
      }
    }
    this.#working = false;
  }

  #pause(milliseconds: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, milliseconds);
      timer.unref();
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  async #ask(ask: Ask, timeout: number): Promise<Map<string, Given>> {
    const { configLabel: label } = this.#platform;
    const question = { application: this.service, profiles: this.#profiles, label };
    const { sources } = await ask(ReadSettings, question, { timeout });
    const given = new Map<string, Given>();
    for (const { application, profile, settings } of sources) {
      for (const one of settings)
        if (!given.has(one.key)) given.set(one.key, { ...one, application, profile });
    }
    return given;
  }

  /** Over a connection of its own, which is gone afterwards. Undefined where there was no answer in time. */
  async #askAtStart(): Promise<Map<string, Given> | undefined> {
    const until = Date.now() + patienceAtStart;
    const connection = new BrokerConnection({ operator: this.#platform.brokerOperator });
    const asked = (async () => {
      try {
        await connection.open(this.#platform.rabbitmqUrl, `${this.service} asks for settings`, 1);
        if (!(await isServed(connection))) return undefined;
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
      (resolve) => (timer = setTimeout(() => resolve(undefined), patienceAtStart)),
    );
    return Promise.race([asked, late]).finally(() => clearTimeout(timer));
  }

  /** Checks all that the config server gives, and puts in force what may be. At the start nothing is in use yet. */
  #take(given: ReadonlyMap<string, Given>, when: 'start' | 'run'): void {
    const good = new Map<string, Given>();
    let changed = false;
    for (const held of this.#held) {
      const one = given.get(held.field);
      if (isMarked(held.schema, 'environmentOnly')) {
        if (one) this.#refuse(held, one, notFromServer, when);
        else held.refused = undefined;
        continue;
      }
      const isFixed = held.origin === 'environment' || held.origin === 'file';
      if (isFixed && !one) continue;
      const read = this.#read(held, one);
      if ('problem' in read) {
        const before = this.#good.get(held.field);
        if (before) good.set(held.field, before);
        this.#refuse(held, one, read.problem, when);
        continue;
      }
      held.refused = undefined;
      if (one) good.set(held.field, one);
      if (!isFixed && this.#put(held, one, read.value, when)) changed = true;
    }
    this.#good = good;
    const fields = new Set(this.#held.map(({ field }) => field));
    this.#unknown = [...given.values()]
      .filter(({ key, application }) => application === this.service && !fields.has(key))
      .map(({ key }) => key);
    if (changed && when === 'run') this.#listeners.forEach((listener) => listener());
  }

  #read({ field, schema }: Held, given: Given | undefined): { value: unknown } | { problem: string } {
    let text = given?.value;
    if (given?.secret) {
      try {
        text = decrypt(clientKey(this.service, this.#platform.configPassword!), given.value, field);
      } catch {
        return { problem: 'does not open with the password of this service' };
      }
    }
    const result = schema.safeParse(text);
    return result.success ? { value: result.data } : { problem: describeProblem(schema, text, result.error) };
  }

  /** True where a value that is in use was changed. */
  #put(held: Held, given: Given | undefined, value: unknown, when: 'start' | 'run'): boolean {
    const { field, instance, schema } = held;
    const isSame = isDeepStrictEqual(value, instance[field]);
    if (when === 'run' && !isSame && !isMarked(schema, 'live')) {
      if (!isDeepStrictEqual(held.afterRestart, { given }))
        this.#say('info', held, given, `${field} changed; it takes effect after a restart`);
      held.afterRestart = { given };
      return false;
    }
    Object.assign(held, { given, afterRestart: undefined, wrong: undefined });
    held.origin = given ? 'config server' : 'default';
    if (isSame) return false;
    instance[field] = value;
    if (when === 'run') this.#say('info', held, given, `${field} changed`);
    return true;
  }

  /** Says what happened to a setting, and never its value. */
  #say(
    level: 'info' | 'warn',
    { field }: Held,
    given: Given | undefined,
    text: string,
    problem?: string,
  ): void {
    const from = given && { from: toName(given), by: given.by };
    this.#following?.log[level]({ setting: field, ...from, ...(problem && { problem }) }, text);
  }

  #refuse(held: Held, given: Given | undefined, problem: string, when: 'start' | 'run'): void {
    // Missing everywhere, from the beginning.
    if (!given && held.wrong) return;
    const isNew = !isDeepStrictEqual(held.refused, { given, problem });
    held.refused = { given, problem };
    if (held.wrong && problem !== notFromServer)
      held.wrong = { ...held.wrong, origin: toName(given!), problem };
    if (isNew && when === 'run') this.#sayRefused(held);
  }

  #sayRefused(held: Held): void {
    const { given, problem } = held.refused!;
    this.#say(
      'warn',
      held,
      given,
      `${held.field} stays as it is: the config server gives a wrong value`,
      problem,
    );
  }

  async #tellAll(ask: string, proposed: string | undefined): Promise<void> {
    const { publisher, instance } = this.#following!;
    const settings = this.#held.map((held) => inForce(held));
    const problems = proposed === undefined ? undefined : this.#check(ask, proposed);
    const told = { ask, instance, settings, unknown: this.#unknown, ...(problems && { problems }) };
    await reportSettings(publisher, this.service, SettingsTold(told));
  }

  /** What is wrong with values that the config server is asked to keep. */
  #check(ask: string, proposed: string): { key: string; problem: string }[] {
    const text = decrypt(clientKey(this.service, this.#platform.configPassword!), proposed, ask);
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

  /** Never throws: a disk that is full must not stop a service. */
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
      this.#following?.log.warn({ err: error }, 'the settings could not be kept for the next start');
    }
  }
}

/** A setting as the environment gives it, else its default. */
function hold(
  field: string,
  schema: z.ZodType,
  instance: Record<string, unknown>,
  environment: NodeJS.ProcessEnv,
): Held {
  const key = environmentName(field);
  const read = readSetting(key, environment, isMarked(schema, 'secret'));
  const said = 'problem' in read ? undefined : read.value;
  const held: Held = { field, schema, instance, origin: toOrigin(read), said };
  if ('problem' in read) return { ...held, wrong: read };
  const result = schema.safeParse(read.value);
  if (!result.success) {
    return {
      ...held,
      wrong: { key, origin: read.origin, problem: describeProblem(schema, read.value, result.error) },
    };
  }
  instance[field] = result.data;
  return held;
}

const toOrigin = ({ origin }: { origin: string }): InForce['origin'] =>
  origin === 'not set' ? 'default' : origin === 'environment' ? 'environment' : 'file';

/** Whatever was read from a file of its own is taken for a secret. */
function inForce({ field, schema, instance, origin, said, given, afterRestart, refused }: Held): InForce {
  const value = instance[field];
  const isSecret = isMarked(schema, 'secret') || origin === 'file' || given?.secret === true;
  // A schema may make a function of a text.
  const text = typeof value === 'string' ? value : (JSON.stringify(value) ?? given?.value ?? said ?? '');
  const by = (one: Given | undefined) => (one ? `${toName(one)} by ${one.by}` : 'nothing is set any more');
  return {
    key: field,
    value: value === undefined ? null : isSecret ? masked : withoutPassword(text),
    origin,
    live: isMarked(schema, 'live'),
    ...(given && { from: by(given) }),
    ...(afterRestart && { afterRestart: by(afterRestart.given) }),
    ...(refused && { refused: `${by(refused.given)}: ${refused.problem}` }),
  };
}

/** A URL may hold a password, whatever its setting is called. */
const withoutPassword = (text: string): string => text.replace(/(:\/\/[^:/@\s]*:)[^@/\s]+@/g, `$1${masked}@`);

/** False where no config server is there: nobody is to wait for it. Asked on a channel of its own: "no" closes it. */
async function isServed({ model }: BrokerConnection): Promise<boolean> {
  const channel = await model!.createChannel();
  channel.on('error', () => {});
  const { consumerCount } = await channel
    .checkQueue(queues.queries(config.name))
    .catch(() => ({ consumerCount: 0 }));
  return consumerCount > 0;
}
