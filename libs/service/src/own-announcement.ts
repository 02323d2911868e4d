import { maxMadeQueues, type Announcement } from '@jogakbo/contract';
import { Announcer, type QueueRecord } from '@jogakbo/messaging';
import type { Broker } from './broker.ts';
import { describeContract } from './bus.ts';
import type { Readiness } from './health.ts';
import type { InstanceContext } from './instance-context.ts';
import type { Part } from './parts.ts';

/** What an instance announces besides its context; read for each announcement. */
export interface AnnouncedState {
  /** Base URL of health and metrics. */
  url: () => string;
  ports: (() => number[]) | undefined;
  queueRecord: QueueRecord;
}

/** Announces this instance while it is open, and that it drains when it closes. */
export class OwnAnnouncement implements Part {
  readonly #announcer: Announcer;
  #state: Announcement['state'] = 'up';
  #isOpen = false;

  constructor(context: InstanceContext, broker: Broker, readiness: Readiness, announced: AnnouncedState) {
    const { service, version, instance, startedAt, platform, declaration } = context;
    const contract = describeContract(declaration);
    this.#announcer = new Announcer(broker.consuming, broker.publisher, () => ({
      service,
      version,
      instance,
      state: this.#state,
      url: announced.url(),
      startedAt,
      interval: platform.announceEvery,
      openCircuits: broker.guarded.openCircuits,
      ...(announced.ports && { ports: announced.ports() }),
      ...(readiness.simulated.length > 0 && { simulated: readiness.simulated }),
      madeQueues: announced.queueRecord.list().slice(-maxMadeQueues),
      encryptionKeys: [...broker.decryption.publicKeys],
      contract,
    }));
    readiness.add('state', () => (this.#state === 'up' ? undefined : 'draining'));
  }

  async open(): Promise<void> {
    this.#isOpen = true;
    await this.#announcer.open();
  }

  /** Announces a change at once; nothing before `open`, which announces everything. */
  announce(): void {
    if (this.#isOpen) void this.#announcer.announce();
  }

  async close(): Promise<void> {
    this.#state = 'draining';
    if (this.#isOpen) await this.#announcer.announce();
    await this.#announcer.close();
  }
}
