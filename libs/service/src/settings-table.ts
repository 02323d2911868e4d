import { isDeepStrictEqual } from 'node:util';
import { decrypt } from '@jogakbo/consistency';
import { ServiceKey } from '@jogakbo/messaging';
import type { Logger } from 'pino';
import { deriveClientKey } from './config-client.ts';
import { environmentName, type WrongSetting } from './environment.ts';
import {
  describeSource,
  isFixed,
  readFromEnvironment,
  type ServerValue,
  type Setting,
} from './setting-state.ts';
import { describeProblem, isMarked, type AnySettings, type PlatformSettings } from './settings.ts';

/** The problem of a setting marked `environmentOnly` that comes from the config server. */
const notFromServer = 'comes from the environment only';

/** All settings of a service: merges the environment, values from the config server, and defaults. */
export class SettingsTable {
  /** One per class, in the order given. */
  readonly targets: object[];
  readonly settings: Setting[];
  readonly platform: PlatformSettings;
  /** Set while the service runs: changes are logged. */
  log: Logger | undefined;
  /** The newest valid value of each setting from the config server, for a start without it. */
  #lastValid = new Map<string, ServerValue>();
  #unknown: string[] = [];

  /** @param classes `PlatformSettings` first */
  constructor(
    private readonly service: string,
    private readonly classes: AnySettings[],
    environment: NodeJS.ProcessEnv,
  ) {
    this.targets = classes.map((Class) => new Class());
    this.settings = classes.flatMap(({ shape }, index) =>
      Object.entries(shape).map(([field, schema]) =>
        readFromEnvironment(field, schema, this.targets[index] as Record<string, unknown>, environment),
      ),
    );
    this.platform = this.targets[0] as PlatformSettings;
    this.#ensureServiceKey();
  }

  get lastValid(): ReadonlyMap<string, ServerValue> {
    return this.#lastValid;
  }

  /** Fields of this service at the config server that it does not have. */
  get unknown(): string[] {
    return this.#unknown;
  }

  get wrong(): WrongSetting[] {
    return this.settings.flatMap(({ startProblem }) => startProblem ?? []);
  }

  /**
   * Generates a service key, unless that would lose data: with separate logins or stored data, a key generated at start
   * could not decrypt data of other instances or earlier runs.
   */
  #ensureServiceKey(): void {
    const setting = this.settings.find(({ field }) => field === 'serviceKey');
    if (!setting || setting.startProblem || this.platform.serviceKey) return;
    const isStoring = this.settings.some(({ field }) => field === 'databaseUrl');
    if (this.platform.brokerOperator === undefined && !isStoring) {
      this.platform.serviceKey = ServiceKey.random();
      return;
    }
    const reason = isStoring ? 'the database' : 'BROKER_OPERATOR';
    setting.startProblem = {
      key: environmentName(setting.field),
      // Not 'not set': the config server cannot supply it, so the start must not ask.
      origin: 'environment',
      problem: `is missing: with ${reason} every service needs the key that the deploy step generates`,
    };
  }

  /** Runs the checks of the classes, also on values from the config server: an invalid combination stops the start. */
  findWrongTogether(classes: readonly AnySettings[] = this.classes): WrongSetting[] {
    return classes.flatMap((Class) => {
      const target = this.targets[this.classes.indexOf(Class)];
      const problems: Record<string, string | false | undefined> =
        Class.check?.(target as never, this.platform) ?? {};
      return Object.entries(problems).flatMap(([field, problem]) => {
        const { environmentText, origin } = this.settings.find((setting) => setting.field === field)!;
        const isSet = environmentText !== undefined || origin !== 'default';
        const key = environmentName(field);
        const place = origin === 'file' ? `file named by ${key}_FILE` : isSet ? origin : 'not set';
        return problem ? { key, origin: place, problem } : [];
      });
    });
  }

  /** Finds invalid values that the config server is asked to store, for fields that the service has. */
  findInvalid(values: Record<string, string>): { key: string; problem: string }[] {
    return this.settings.flatMap(({ field: key, schema }) => {
      const value = Object.hasOwn(values, key) ? values[key] : undefined;
      if (value === undefined) return [];
      if (isMarked(schema, 'environmentOnly')) return [{ key, problem: notFromServer }];
      const result = schema.safeParse(value);
      return result.success ? [] : [{ key, problem: describeProblem(schema, value, result.error) }];
    });
  }

  /**
   * Checks all values from the config server, and applies the valid ones. A changed setting that is not live waits for a
   * restart, except at the start, when nothing is in use yet.
   * @returns true if a value in use was changed
   */
  apply(values: ReadonlyMap<string, ServerValue>, when: 'start' | 'run'): boolean {
    const lastValid = new Map<string, ServerValue>();
    let isChanged = false;
    for (const setting of this.settings) {
      const value = values.get(setting.field);
      if (isMarked(setting.schema, 'environmentOnly')) {
        if (value) this.#refuse(setting, value, notFromServer, when);
        else setting.refusedValue = undefined;
        continue;
      }
      if (isFixed(setting) && !value) {
        setting.refusedValue = undefined;
        continue;
      }
      const read = this.#read(setting, value);
      if ('problem' in read) {
        const before = this.#lastValid.get(setting.field);
        if (before) lastValid.set(setting.field, before);
        this.#refuse(setting, value, read.problem, when);
        continue;
      }
      setting.refusedValue = undefined;
      if (value) lastValid.set(setting.field, value);
      if (!isFixed(setting) && this.#put(setting, value, read.parsed, when)) isChanged = true;
    }
    this.#lastValid = lastValid;
    this.#unknown = this.#listUnknown(values);
    return isChanged;
  }

  #listUnknown(values: ReadonlyMap<string, ServerValue>): string[] {
    const fields = new Set(this.settings.map(({ field }) => field));
    return [...values.values()]
      .filter(({ key, application }) => application === this.service && !fields.has(key))
      .map(({ key }) => key);
  }

  #read(
    { field, schema }: Setting,
    value: ServerValue | undefined,
  ): { parsed: unknown } | { problem: string } {
    let text = value?.value;
    if (value?.secret) {
      try {
        text = decrypt(deriveClientKey(this.service, this.platform.configPassword!), value.value, field);
      } catch {
        return { problem: 'cannot be decrypted with the password of this service' };
      }
    }
    const result = schema.safeParse(text);
    return result.success
      ? { parsed: result.data }
      : { problem: describeProblem(schema, text, result.error) };
  }

  /** Returns true if a value in use was changed. */
  #put(
    setting: Setting,
    serverValue: ServerValue | undefined,
    parsed: unknown,
    when: 'start' | 'run',
  ): boolean {
    const { field, target, schema } = setting;
    const isSame = isDeepStrictEqual(parsed, target[field]);
    if (when === 'run' && !isSame && !isMarked(schema, 'live')) {
      if (!isDeepStrictEqual(setting.afterRestart, { serverValue }))
        this.#logChange('info', serverValue, field, `${field} changed; it takes effect after a restart`);
      setting.afterRestart = { serverValue };
      return false;
    }
    Object.assign(setting, { serverValue, afterRestart: undefined, startProblem: undefined });
    setting.origin = serverValue ? 'config server' : 'default';
    if (isSame) return false;
    target[field] = parsed;
    if (when === 'run') this.#logChange('info', serverValue, field, `${field} changed`);
    return true;
  }

  #refuse(
    setting: Setting,
    serverValue: ServerValue | undefined,
    problem: string,
    when: 'start' | 'run',
  ): void {
    // Missing in all sources since the start.
    if (!serverValue && setting.startProblem) return;
    const isNew = !isDeepStrictEqual(setting.refusedValue, { serverValue, problem });
    setting.refusedValue = { serverValue, problem };
    if (setting.startProblem && problem !== notFromServer)
      setting.startProblem = { ...setting.startProblem, origin: describeSource(serverValue!), problem };
    if (isNew && when === 'run') this.#logInvalid(setting);
  }

  /** Logs the invalid values that the start met. */
  logAllInvalid(): void {
    for (const setting of this.settings) if (setting.refusedValue) this.#logInvalid(setting);
  }

  #logInvalid({ field, refusedValue }: Setting): void {
    const text = `${field} stays as it is: the value from the config server is wrong`;
    this.#logChange('warn', refusedValue!.serverValue, field, text, refusedValue!.problem);
  }

  /** Logs a change of a setting, without its value. */
  #logChange(
    level: 'info' | 'warn',
    value: ServerValue | undefined,
    field: string,
    text: string,
    problem?: string,
  ): void {
    const from = value && { from: describeSource(value), by: value.by };
    this.log?.[level]({ setting: field, ...from, ...(problem && { problem }) }, text);
  }
}
