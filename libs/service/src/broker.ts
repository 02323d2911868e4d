import type { Announcement } from '@jogakbo/contract';
import {
  BrokerConnection,
  DecryptionKeys,
  Instances,
  KnownGrants,
  KnownRecipients,
  Publisher,
  RabbitClient,
} from '@jogakbo/messaging';
import { GuardedCalls } from './guarded-calls.ts';
import type { InstanceContext } from './instance-context.ts';
import type { Part } from './parts.ts';
import { SplitCalls } from './split-calls.ts';

/** Everything of an instance that needs the broker: connections, calls to other services, what announcements contain. */
export class Broker implements Part {
  readonly consuming: BrokerConnection;
  /** The broker throttles a connection that publishes too fast. Consumers are unaffected on the other one. */
  readonly publishing: BrokerConnection;
  readonly publisher: Publisher;
  readonly grants: KnownGrants;
  readonly guarded: GuardedCalls;
  readonly split: SplitCalls;
  readonly decryption: DecryptionKeys;
  readonly recipients: KnownRecipients;
  readonly client: RabbitClient;
  /** Opened as a part of its own: see `start`. */
  readonly instances: Instances;
  readonly #announcementListeners: ((announcement: Announcement) => void)[] = [];

  constructor(private readonly context: InstanceContext) {
    const { service, platform, metrics } = context;
    const identity = { operator: platform.brokerOperator };
    this.consuming = new BrokerConnection(identity);
    this.consuming.onRefusedMessage(metrics.countUnauthorizedSender);
    this.publishing = new BrokerConnection(identity);
    this.publisher = new Publisher(this.publishing);
    this.grants = new KnownGrants(this.consuming);
    this.guarded = new GuardedCalls(platform, metrics);
    this.split = new SplitCalls(platform, metrics);
    this.decryption = new DecryptionKeys(platform.serviceKey!);
    this.recipients = new KnownRecipients(
      () => this.instances.present,
      () => (this.grants.hasLoginPerService ? this.grants.current : undefined),
      [[service, this.decryption.publicKeys[0]]],
    );
    this.instances = new Instances(this.consuming, this.publisher, service, (announcement) => {
      this.recipients.receiveAnnouncement(announcement);
      for (const listener of this.#announcementListeners) listener(announcement);
    });
    this.client = new RabbitClient(
      this.consuming,
      this.publisher,
      service,
      this.guarded.guard,
      this.split,
      this.recipients,
      context.telemetry?.spans,
    );
  }

  /** Runs with every accepted announcement. */
  onAnnouncement(listener: (announcement: Announcement) => void): void {
    this.#announcementListeners.push(listener);
  }

  async open(): Promise<void> {
    const { instance, platform } = this.context;
    await this.consuming.open(platform.rabbitmqUrl, `${instance} consumes`);
    await this.grants.open();
    await this.publishing.open(platform.rabbitmqUrl, `${instance} publishes`);
    await this.publisher.open();
    await this.client.connect();
  }

  async close(): Promise<void> {
    await this.client.close();
    await Promise.all([this.publisher.close(), this.grants.close()]);
    await Promise.all([this.consuming.close(), this.publishing.close()]);
  }
}
