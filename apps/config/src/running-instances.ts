import { randomUUID } from 'node:crypto';
import type { Body } from '@jogakbo/contract';
import { SettingsRequested, SettingsReported } from '@jogakbo/contracts-config';
import { BrokerConnection, Instances, Listener, Publisher, publishSoftState } from '@jogakbo/messaging';
import { Injectable, type OnApplicationShutdown, type OnModuleInit } from '@nestjs/common';

/**
 * Milliseconds to wait for reports. A known instance may have ended, and an unknown instance may run with late heartbeats
 * on a busy machine.
 */
const reportTimeoutMs = 1_000;

export type ReportedSettings = Body<typeof SettingsReported>;
type Question = Omit<Body<typeof SettingsRequested>, 'ask'>;

/** Asks running instances for their settings in force and for problems with proposed settings. Keeps no state. */
@Injectable()
export class RunningInstances implements OnModuleInit, OnApplicationShutdown {
  readonly #instances: Instances;
  readonly #listener: Listener;
  readonly #pending = new Map<string, (report: ReportedSettings) => void>();

  constructor(
    connection: BrokerConnection,
    private readonly publisher: Publisher,
  ) {
    this.#instances = new Instances(connection, publisher, 'config');
    this.#listener = new Listener(
      connection,
      ({ data }) => {
        const report = SettingsReported.input.parse(data);
        this.#pending.get(report.ask)?.(report);
      },
      undefined,
      ({ data, sender }) => getService(SettingsReported.input.parse(data)) === sender,
    );
  }

  async onModuleInit(): Promise<void> {
    await Promise.all([this.#instances.open(), this.#listener.open(SettingsReported.name)]);
  }

  /** Whether the application may have running instances. True until the instances are learned after start. */
  canBeRunning(application: string): boolean {
    if (!this.#instances.isRollCallOver) return true;
    return this.#instances.alive.some(({ service }) => service === application);
  }

  /**
   * Asks every instance of a service.
   * @param question creates the question from its correlation id
   * @returns the reports that arrived within the timeout
   */
  async collectReports(
    application: string,
    question: (ask: string) => Omit<Question, 'application'>,
  ): Promise<ReportedSettings[]> {
    const waiting = new Set(
      this.#instances.alive.filter(({ service }) => service === application).map(({ instance }) => instance),
    );
    const reports: ReportedSettings[] = [];
    const ask = randomUUID();
    let timer: NodeJS.Timeout | undefined;
    try {
      await new Promise<void>((resolve, reject) => {
        const receive = (report: ReportedSettings) => {
          // Ignores reports from other services.
          if (getService(report) !== application) return;
          reports.push(report);
          if (waiting.delete(report.instance) && waiting.size === 0) resolve();
        };
        this.#pending.set(ask, receive);
        timer = setTimeout(resolve, reportTimeoutMs);
        const request = SettingsRequested({ ask, application, ...question(ask) });
        publishSoftState(this.publisher, SettingsRequested.name, 'config', request.data).catch(reject);
      });
    } finally {
      clearTimeout(timer);
      this.#pending.delete(ask);
    }
    return reports.sort((a, b) => (a.instance < b.instance ? -1 : 1));
  }

  async onApplicationShutdown(): Promise<void> {
    await Promise.all([this.#instances.close(), this.#listener.close()]);
  }
}

/** An instance name is the service name plus `-` and one more part. */
const getService = ({ instance }: ReportedSettings): string => instance.slice(0, instance.lastIndexOf('-'));
