import { setTimeout as pause } from 'node:timers/promises';
import { withoutBrokers } from '@jogakbo/messaging/retry';
import { assertWorkQueue, queues } from '@jogakbo/messaging/topology';
import {
  type ChannelModel,
  type ConfirmChannel,
  type ConsumeMessage,
  type GetMessage,
  type Options,
} from 'amqplib';
import { type Management } from './broker-management.ts';
import { toDeadLetter, headersFromOperator } from '../../dead-letters/dead-letter.ts';
import { CliError } from '../../terminal/cli-error.ts';

/** Exchanges of the topology before this one. All services shared them. */
const sharedExchanges = ['commands', 'events', 'replies', 'retry'];
/** To this one expired messages of the shared retry queues go, so it stays as long as these. */
const sharedDeadExchange = 'dead';
const sharedRetryQueue = /^retry\.\d+ms$/;

/** At most so many messages are held at a time. */
const batchSize = 200;
/** A connection that broke a moment ago is gone after its heartbeats, in milliseconds. */
const consumersLeaveWithin = 12_000;
/** The broker reports the state of a queue every 5 s. */
const stateIsKnownWithin = 12_000;

interface WorkQueue {
  service: string;
  kind: 'commands' | 'events';
  /** Queues of the topology before: this one and those of versions. */
  old: string[];
}

/** Holds the messages of a queue while that is declared anew. */
const heldName = (queue: string): string => `takeover.${queue}`;

/**
 * Takes over a broker on which services shared their exchanges and retry queues. What lies in a queue for commands or
 * events, or waits for its next attempt, is put into the same queue of this topology, to be handled at once. The queues are
 * declared anew and the shared exchanges and retry queues deleted. A retry queue that holds messages of an unknown
 * service stays. Each message is moved with a confirm before it is acknowledged; what is interrupted goes on the next time.
 * @param services names of all services
 * @param operator the login of the connection
 * @returns the retry queues that stay
 * @throws Fault while services of the version before still run
 */
export async function takeOver(
  connection: ChannelModel,
  management: Management,
  services: readonly string[],
  operator: string,
): Promise<string[]> {
  const { work, retries } = await findOld(management, services);
  if (work.size + retries.length === 0) return [];
  const channel = await connection.createConfirmChannel();
  channel.on('error', () => undefined);
  await mustBeIdle(
    channel,
    [...work.values()].flatMap(({ old }) => old),
  );
  // From now on what a service of the version before publishes is refused, and stays in its outbox.
  for (const name of sharedExchanges) await channel.deleteExchange(name);
  for (const queue of work.keys()) await hold(channel, queue, retries.length > 0);
  const move = new Move(channel, operator);
  for (const retry of retries)
    await move.all(retry, ({ fields }) => {
      const queue = fields.routingKey.replace(/^\d+\./, '').replace(/@.*$/, '');
      const target = work.get(queue);
      return target && { to: heldName(queue), service: target.service };
    });
  for (const [queue, { service, kind, old }] of work) {
    for (const name of old) {
      await move.all(name, () => ({ to: heldName(queue), service }));
      await channel.deleteQueue(name);
    }
    await assertWorkQueue(channel, service, kind);
    await move.all(heldName(queue), () => ({ to: queue, service }));
    await channel.deleteQueue(heldName(queue));
  }
  const left: string[] = [];
  for (const retry of retries)
    if (await isEmpty(channel, management, retry)) await channel.deleteQueue(retry);
    else left.push(retry);
  if (left.length === 0) await channel.deleteExchange(sharedDeadExchange);
  await channel.close();
  return left;
}

async function findOld(management: Management, services: readonly string[]) {
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
      // With a retry queue there may be messages for a queue that is of this topology already.
      const isWanted = old.length > 0 || names.includes(heldName(queue));
      if (isWanted || (retries.length > 0 && names.includes(queue))) work.set(queue, { service, kind, old });
    }
  }
  return { work, retries };
}

async function mustBeIdle(channel: ConfirmChannel, names: readonly string[]): Promise<void> {
  for (const until = Date.now() + consumersLeaveWithin; ; await pause(250)) {
    const consumed: string[] = [];
    for (const name of names) if ((await channel.checkQueue(name)).consumerCount > 0) consumed.push(name);
    if (consumed.length === 0) return;
    if (Date.now() > until)
      throw new CliError('Services of an earlier version still run on this broker.', {
        details: consumed.map((name) => `${name} is consumed`),
        remedies: ['stop all services, and run this step again; what they have not handled is kept'],
      });
  }
}

/** A message that expires meanwhile goes there, too. */
async function hold(channel: ConfirmChannel, queue: string, hasRetries: boolean): Promise<void> {
  const held = heldName(queue);
  await channel.assertQueue(held, { durable: true, arguments: { 'x-queue-type': 'quorum' } });
  if (!hasRetries) return;
  for (const key of [queue, `*.${queue}`]) {
    await channel.bindQueue(held, sharedDeadExchange, key);
    await channel.unbindQueue(queue, sharedDeadExchange, key);
  }
}

/** Puts messages from one queue into another as the operator, whom services believe who sent them at first. */
class Move {
  private readonly channel: ConfirmChannel;
  private readonly operator: string;

  constructor(channel: ConfirmChannel, operator: string) {
    this.channel = channel;
    this.operator = operator;
  }

  /** @param target undefined: the message stays */
  async all(
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
      ...{ persistent: true, userId: this.operator },
      headers: withoutBrokers(headersFromOperator(letter, this.operator)),
    };
  }
}

/** Beside what is ready, messages count that are on their way to where they go after they expired. */
async function isEmpty(channel: ConfirmChannel, management: Management, name: string): Promise<boolean> {
  if ((await channel.checkQueue(name)).messageCount > 0) return false;
  for (const until = Date.now() + stateIsKnownWithin; Date.now() < until; await pause(250)) {
    const { messages, messages_dlx: handedOn = 0 } = await management.queue(name);
    if (messages === 0 && handedOn === 0) return true;
  }
  return false;
}
