import { setTimeout as pause } from 'node:timers/promises';
import { withoutDeliveryHeaders } from '@jogakbo/messaging/retry';
import { assertWorkQueue, queues } from '@jogakbo/messaging/topology';
import {
  type ChannelModel,
  type ConfirmChannel,
  type ConsumeMessage,
  type GetMessage,
  type Options,
} from 'amqplib';
import { type Management } from './broker-management.ts';
import { toDeadLetter, buildResendHeaders } from '../../dead-letters/dead-letter.ts';
import { CliError } from '../../terminal/cli-error.ts';

/** Exchanges of the previous topology, shared by all services. */
const sharedExchanges = ['commands', 'events', 'replies', 'retry'];
/** The dead-letter exchange of the shared retry queues. It is deleted after them. */
const sharedDeadExchange = 'dead';
const sharedRetryQueue = /^retry\.\d+ms$/;

/** Maximum of unacknowledged messages. */
const batchSize = 200;
/** Time until the broker detects a broken connection by missed heartbeats, in milliseconds. */
const consumerTimeoutMs = 12_000;
/** The broker updates queue statistics every 5 s. In milliseconds. */
const queueStateTimeoutMs = 12_000;

interface WorkQueue {
  service: string;
  kind: 'commands' | 'events';
  /** Queues of the previous topology: this one and its versioned queues. */
  old: string[];
}

/** The queue that holds messages while their queue is redeclared. */
const getHoldingQueue = (queue: string): string => `takeover.${queue}`;

/**
 * Migrates a broker from the topology with shared exchanges and retry queues. Redeclares the queues for commands and events,
 * and moves their messages and the pending retries to the new queues, without further delay. Deletes the shared exchanges and
 * retry queues, except retry queues with messages of unknown services. Each message is acknowledged after the confirm of its
 * copy, so an interrupted migration can be repeated.
 * @param services names of all services
 * @param brokerOperator the login of the connection
 * @returns the remaining retry queues
 * @throws CliError while services of the previous version are running
 */
export async function migrateTopology(
  connection: ChannelModel,
  management: Management,
  services: readonly string[],
  brokerOperator: string,
): Promise<string[]> {
  const { work, retries } = await findOldQueues(management, services);
  if (work.size + retries.length === 0) return [];
  const channel = await connection.createConfirmChannel();
  channel.on('error', () => undefined);
  await assertIdle(
    channel,
    [...work.values()].flatMap(({ old }) => old),
  );
  // From here on, the broker rejects messages of services of the previous version; they stay in the outbox.
  for (const name of sharedExchanges) await channel.deleteExchange(name);
  for (const queue of work.keys()) await divertToHoldingQueue(channel, queue, retries.length > 0);
  const mover = new MessageMover(channel, brokerOperator);
  for (const retry of retries)
    await mover.moveAll(retry, ({ fields }) => {
      const queue = fields.routingKey.replace(/^\d+\./, '').replace(/@.*$/, '');
      const target = work.get(queue);
      return target && { to: getHoldingQueue(queue), service: target.service };
    });
  for (const [queue, { service, kind, old }] of work) {
    for (const name of old) {
      await mover.moveAll(name, () => ({ to: getHoldingQueue(queue), service }));
      await channel.deleteQueue(name);
    }
    await assertWorkQueue(channel, service, kind);
    await mover.moveAll(getHoldingQueue(queue), () => ({ to: queue, service }));
    await channel.deleteQueue(getHoldingQueue(queue));
  }
  const remaining: string[] = [];
  for (const retry of retries)
    if (await isEmpty(channel, management, retry)) await channel.deleteQueue(retry);
    else remaining.push(retry);
  if (remaining.length === 0) await channel.deleteExchange(sharedDeadExchange);
  await channel.close();
  return remaining;
}

async function findOldQueues(management: Management, services: readonly string[]) {
  const all = await management.queues();
  const isOld = (name: string) =>
    all.some((one) => one.name === name && one.arguments['x-dead-letter-exchange'] === sharedDeadExchange);
  const names = all.map(({ name }) => name);
  const retries = names.filter((name) => sharedRetryQueue.test(name) && isOld(name));
  const work = new Map<string, WorkQueue>();
  for (const service of services) {
    for (const kind of ['commands', 'events'] as const) {
      const queue = queues[kind](service);
      const old = names.filter((name) => (name === queue || name.startsWith(`${queue}@`)) && isOld(name));
      // Retry queues may hold messages for a queue that already has the new topology.
      const isWanted = old.length > 0 || names.includes(getHoldingQueue(queue));
      if (isWanted || (retries.length > 0 && names.includes(queue))) work.set(queue, { service, kind, old });
    }
  }
  return { work, retries };
}

async function assertIdle(channel: ConfirmChannel, names: readonly string[]): Promise<void> {
  for (const until = Date.now() + consumerTimeoutMs; ; await pause(250)) {
    const consumed: string[] = [];
    for (const name of names) if ((await channel.checkQueue(name)).consumerCount > 0) consumed.push(name);
    if (consumed.length === 0) return;
    if (Date.now() > until)
      throw new CliError('Services of an earlier version still run on this broker.', {
        details: consumed.map((name) => `${name} has consumers`),
        remedies: ['stop all services and run this step again; unhandled messages are kept'],
      });
  }
}

/** Declares the holding queue and routes expiring retries to it. */
async function divertToHoldingQueue(
  channel: ConfirmChannel,
  queue: string,
  hasRetries: boolean,
): Promise<void> {
  const held = getHoldingQueue(queue);
  await channel.assertQueue(held, { durable: true, arguments: { 'x-queue-type': 'quorum' } });
  if (!hasRetries) return;
  for (const key of [queue, `*.${queue}`]) {
    await channel.bindQueue(held, sharedDeadExchange, key);
    await channel.unbindQueue(queue, sharedDeadExchange, key);
  }
}

/** Moves messages between queues as the broker operator. Services trust the original sender that it states. */
class MessageMover {
  private readonly channel: ConfirmChannel;
  private readonly brokerOperator: string;

  constructor(channel: ConfirmChannel, brokerOperator: string) {
    this.channel = channel;
    this.brokerOperator = brokerOperator;
  }

  /** @param target returns undefined for a message that stays */
  async moveAll(
    from: string,
    target: (message: GetMessage) => { to: string; service: string } | undefined,
  ): Promise<void> {
    const staying: GetMessage[] = [];
    for (;;) {
      const batch: GetMessage[] = [];
      while (batch.length < batchSize) {
        const message = await this.channel.get(from);
        if (!message) break;
        batch.push(message);
      }
      if (batch.length === 0) break;
      const moved = batch.filter((message) => {
        const found = target(message);
        if (found) this.channel.sendToQueue(found.to, message.content, this.#options(message, found.service));
        else staying.push(message);
        return found;
      });
      await this.channel.waitForConfirms();
      for (const message of moved) this.channel.ack(message);
    }
    for (const message of staying) this.channel.nack(message, false, true);
  }

  #options(message: GetMessage, service: string): Options.Publish {
    const { expiration: _expiration, clusterId: _cluster, ...others } = message.properties;
    const letter = toDeadLetter(service, message as ConsumeMessage & GetMessage);
    return {
      ...Object.fromEntries(Object.entries(others).filter(([, value]) => value !== undefined)),
      persistent: true,
      userId: this.brokerOperator,
      headers: withoutDeliveryHeaders(buildResendHeaders(letter, this.brokerOperator)),
    };
  }
}

/** Also counts expired messages that are still being dead-lettered. */
async function isEmpty(channel: ConfirmChannel, management: Management, name: string): Promise<boolean> {
  if ((await channel.checkQueue(name)).messageCount > 0) return false;
  for (const until = Date.now() + queueStateTimeoutMs; Date.now() < until; await pause(250)) {
    const { messages, messages_dlx: inTransit = 0 } = await management.queue(name);
    if (messages === 0 && inTransit === 0) return true;
  }
  return false;
}
