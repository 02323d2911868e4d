import { join } from 'node:path';
import { Rejection } from '@jogakbo/contract';
import {
  SettingsChanged,
  SettingsReported,
  SettingsRequested,
  sharedApplication,
} from '@jogakbo/contracts-config';
import { decrypt } from '@jogakbo/consistency';
import { WakeableSleep } from '@jogakbo/consistency/wakeable-sleep';
import {
  Listener,
  publishSoftState,
  type Ask,
  type BrokerConnection,
  type Incoming,
  type Publisher,
} from '@jogakbo/messaging';
import type { Logger } from 'pino';
import { deriveClientKey, listProfiles, readServerValues, readServerValuesAtStart } from './config-client.ts';
import { toInForce } from './setting-state.ts';
import { SettingsCache } from './settings-cache.ts';
import { SettingsTable } from './settings-table.ts';
import { PlatformSettings, WrongSettings, type AnySettings } from './settings.ts';

/** Delays between attempts to reach the config server, in milliseconds. */
const firstRetryMs = 250;
const lastRetryMs = 5_000;
const requestTimeoutMs = 2_000;

/** What a running service needs in order to follow the config server. */
export interface Following {
  connection: BrokerConnection;
  publisher: Publisher;
  ask: Ask;
  instance: string;
  log: Logger;
}

/**
 * The settings of a service: environment > config server > defaults.
 *
 * - A wrong value in the environment stops the start. A wrong value from the config server is refused: the previous
 *   value stays. Settings that are wrong in combination (`check`) stop the start, wherever they come from.
 * - The config server is optional: a start waits for it for a second at most, and not at all if none is running. Its last
 *   values are kept in a file, secrets encrypted.
 * - A setting marked `environmentOnly` comes from the environment only; a value from the config server is refused.
 * - A changed live setting is in force at once in the injected objects; others wait for a restart.
 */
export class ServiceSettings {
  readonly #table: SettingsTable;
  readonly #cache: SettingsCache;
  readonly #listeners: (() => void)[] = [];
  #following: Following | undefined;
  #listener: Listener | undefined;
  #isRefreshRequested = false;
  #isRefreshing = false;
  #isClosed = false;
  readonly #pause = new WakeableSleep();

  private constructor(
    readonly service: string,
    private readonly classes: AnySettings[],
    environment: NodeJS.ProcessEnv,
  ) {
    this.#table = new SettingsTable(service, classes, environment);
    const { configCache } = this.#platform;
    this.#cache = new SettingsCache(configCache && join(configCache, `${service}.json`));
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
    if (settings.#canAskServer()) {
      settings.#table.apply(settings.#cache.read(), 'start');
      const values = await readServerValuesAtStart(service, settings.#platform);
      if (values) settings.#table.apply(values, 'start');
      settings.#assertValid();
      settings.#writeCache();
    } else settings.#assertValid();
    return settings;
  }

  /** The config server can supply missing values, but cannot repair wrong ones. No login crosses a forbidden network. */
  #canAskServer(): boolean {
    const { rabbitmqUrl, configPassword } = this.#platform;
    return (
      this.#table.wrong.every(({ origin }) => origin === 'not set') &&
      Boolean(rabbitmqUrl && configPassword) &&
      this.#table.findWrongTogether([PlatformSettings]).length === 0
    );
  }

  #assertValid(): void {
    const { wrong } = this.#table;
    const all = wrong.length > 0 ? wrong : this.#table.findWrongTogether();
    if (all.length > 0) throw new WrongSettings(all);
  }

  get #platform(): PlatformSettings {
    return this.#table.platform;
  }

  /** One object per class, in the order given to `open`. */
  get instances(): object[] {
    return this.#table.targets;
  }

  /** The settings of one class. Live ones change while the service runs. */
  get<C extends AnySettings>(Class: C): InstanceType<C> {
    return this.#table.targets[this.classes.indexOf(Class)] as InstanceType<C>;
  }

  /** Runs after every change of live settings. */
  onChange(listener: () => void): void {
    this.#listeners.push(listener);
  }

  /** Applies changes from now on, and those since the beginning of the start. */
  async follow(following: Following): Promise<void> {
    if (!this.#platform.configPassword) return;
    this.#following = following;
    this.#table.log = following.log;
    this.#table.logAllInvalid();
    this.#listener = new Listener(
      following.connection,
      (message) => this.#receive(message),
      () => this.#refresh(),
    );
    await this.#listener.open(SettingsChanged.name, SettingsRequested.name);
  }

  async close(): Promise<void> {
    this.#isClosed = true;
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
      (profile === 'default' || listProfiles(this.#platform).includes(profile)) &&
      label === this.#platform.configLabel;
    if (isOurs) this.#refresh();
  }

  #refresh(): void {
    this.#isRefreshRequested = true;
    this.#pause.wake();
    if (!this.#isRefreshing) void this.#askUntilAnswered();
  }

  /** Sends one request at a time. A change during a request causes another one. Never throws. */
  async #askUntilAnswered(): Promise<void> {
    this.#isRefreshing = true;
    const { ask, log } = this.#following!;
    for (let retryMs = firstRetryMs; this.#isRefreshRequested && !this.#isClosed;) {
      this.#isRefreshRequested = false;
      try {
        const values = await readServerValues(ask, this.service, this.#platform, requestTimeoutMs);
        if (this.#table.apply(values, 'run')) this.#listeners.forEach((listener) => listener());
        this.#writeCache();
        retryMs = firstRetryMs;
      } catch (error) {
        if (retryMs === firstRetryMs) {
          // An outage ends without intervention. A rejection needs an operator.
          const level = error instanceof Rejection ? 'warn' : 'debug';
          log[level]({ err: error }, 'no settings from the config server; the current ones stay in force');
        }
        this.#isRefreshRequested = true;
        await this.#pause.sleep(retryMs);
        retryMs = Math.min(retryMs * 2, lastRetryMs);
      }
    }
    this.#isRefreshing = false;
  }

  async #reportAll(ask: string, proposed: string | undefined): Promise<void> {
    const { publisher, instance } = this.#following!;
    const { settings, unknown } = this.#table;
    const problems = proposed === undefined ? undefined : this.#checkProposed(ask, proposed);
    const report = SettingsReported({
      ask,
      instance,
      settings: settings.map(toInForce),
      unknown,
      ...(problems && { problems }),
    });
    await publishSoftState(publisher, SettingsReported.name, this.service, report.data);
  }

  /** Checks values that the config server is asked to store. */
  #checkProposed(ask: string, proposed: string): { key: string; problem: string }[] {
    const key = deriveClientKey(this.service, this.#platform.configPassword!);
    return this.#table.findInvalid(JSON.parse(decrypt(key, proposed, ask)) as Record<string, string>);
  }

  /** Never throws: a full disk must not stop a service. */
  #writeCache(): void {
    try {
      this.#cache.write(this.#table.lastValid);
    } catch (error) {
      this.#following?.log.warn({ err: error }, 'the settings could not be cached for the next start');
    }
  }
}
