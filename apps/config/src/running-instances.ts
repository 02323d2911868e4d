import { randomUUID } from 'node:crypto';
import type { Body } from '@jogakbo/contract';
import { SettingsAsked, SettingsTold } from '@jogakbo/contracts-config';
import { BrokerConnection, Instances, Listener, Publisher } from '@jogakbo/messaging';
import { reportSettings } from '@jogakbo/service';
import { Injectable, type OnApplicationShutdown, type OnModuleInit } from '@nestjs/common';

/**
 * How long to wait for the instances that are there, in milliseconds. One may have just ended; and where none is heard of,
 * one may be there whose beats are late on a busy machine: it answers for itself.
 */
const patience = 1_000;

export type ReportedSettings = Body<typeof SettingsTold>;
type Question = Omit<Body<typeof SettingsAsked>, 'ask'>;

/** Keeps nothing: what is in force, and what would be refused, is asked of the instances that run. */
@Injectable()
export class RunningInstances implements OnModuleInit, OnApplicationShutdown {
  readonly #instances: Instances;
  readonly #listener: Listener;
  readonly #asking = new Map<string, (told: ReportedSettings) => void>();

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
      ({ data, sender }) => getService(SettingsTold.input.parse(data)) === sender,
    );
  }

  async onModuleInit(): Promise<void> {
    await Promise.all([this.#instances.open(), this.#listener.open(SettingsTold.name)]);
  }

  /** Also true as long as it is not yet known what runs. */
  mayRun(application: string): boolean {
    if (!this.#instances.learned) return true;
    return this.#instances.alive.some(({ service }) => service === application);
  }

  /**
   * Asks every instance of a service.
   * @param question makes it of the id under which it is asked
   * @returns what those told that answered in time
   */
  async ask(
    application: string,
    question: (ask: string) => Omit<Question, 'application'>,
  ): Promise<ReportedSettings[]> {
    const waiting = new Set(
      this.#instances.alive.filter(({ service }) => service === application).map(({ instance }) => instance),
    );
    const told: ReportedSettings[] = [];
    const ask = randomUUID();
    let timer: NodeJS.Timeout | undefined;
    try {
      await new Promise<void>((resolve, reject) => {
        const hear = (one: ReportedSettings) => {
          // Another service may answer, and is not the one that was asked.
          if (getService(one) !== application) return;
          told.push(one);
          if (waiting.delete(one.instance) && waiting.size === 0) resolve();
        };
        this.#asking.set(ask, hear);
        timer = setTimeout(resolve, patience);
        reportSettings(this.publisher, 'config', SettingsAsked({ ask, application, ...question(ask) })).catch(
          reject,
        );
      });
    } finally {
      clearTimeout(timer);
      this.#asking.delete(ask);
    }
    return told.sort((a, b) => (a.instance < b.instance ? -1 : 1));
  }

  async onApplicationShutdown(): Promise<void> {
    await Promise.all([this.#instances.close(), this.#listener.close()]);
  }
}

/** An instance is called like its service, with one more part. */
const getService = ({ instance }: ReportedSettings): string => instance.slice(0, instance.lastIndexOf('-'));
