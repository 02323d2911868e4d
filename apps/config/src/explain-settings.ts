import { randomUUID } from 'node:crypto';
import type { Body } from '@jogakbo/contract';
import { ExplainSettings, SettingsAsked, SettingsTold } from '@jogakbo/contracts-config';
import { BrokerConnection, Handles, Instances, Listener, Publisher } from '@jogakbo/messaging';
import { tell } from '@jogakbo/service';
import { Controller, type OnApplicationShutdown, type OnModuleInit } from '@nestjs/common';

/**
 * How long to wait for the instances that are there, in milliseconds. One may have just ended; and where none is heard of,
 * one may be there whose beats are late on a busy machine: it answers for itself.
 */
const patience = 1_000;

type Told = Body<typeof SettingsTold>;

/** Keeps nothing: what is in force is asked of those in whom it is. */
@Controller()
export class ExplainSettingsHandler implements OnModuleInit, OnApplicationShutdown {
  readonly #instances: Instances;
  readonly #listener: Listener;
  readonly #asking = new Map<string, (told: Told) => void>();

  constructor(
    connection: BrokerConnection,
    private readonly publisher: Publisher,
  ) {
    this.#instances = new Instances(connection, publisher, 'config');
    this.#listener = new Listener(
      connection,
      ({ data }) => {
        const told = SettingsTold.input.parse(data);
        this.#asking.get(told.ask)?.(told);
      },
      undefined,
      ({ data, sender }) => SettingsTold.input.parse(data).instance.startsWith(`${sender}-`),
    );
  }

  async onModuleInit(): Promise<void> {
    await Promise.all([this.#instances.open(), this.#listener.open(SettingsTold.name)]);
  }

  @Handles(ExplainSettings)
  async explain({ application }: Body<typeof ExplainSettings>) {
    const waiting = new Set(
      this.#instances.alive.filter(({ service }) => service === application).map(({ instance }) => instance),
    );
    const told: Told[] = [];
    const ask = randomUUID();
    let timer: NodeJS.Timeout | undefined;
    try {
      await new Promise<void>((resolve, reject) => {
        const hear = (one: Told) => {
          told.push(one);
          if (waiting.delete(one.instance) && waiting.size === 0) resolve();
        };
        this.#asking.set(ask, hear);
        timer = setTimeout(resolve, patience);
        tell(this.publisher, 'config', SettingsAsked({ ask, application })).catch(reject);
      });
    } finally {
      clearTimeout(timer);
      this.#asking.delete(ask);
    }
    return {
      instances: told
        .map(({ instance, settings, unknown }) => ({ instance, settings, unknown }))
        .sort((a, b) => (a.instance < b.instance ? -1 : 1)),
    };
  }

  async onApplicationShutdown(): Promise<void> {
    await Promise.all([this.#instances.close(), this.#listener.close()]);
  }
}
