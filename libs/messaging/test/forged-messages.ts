import { randomBytes } from 'node:crypto';
import { service } from '@jogakbo/contract';
import { exchanges, queues, ServiceKey } from '@jogakbo/messaging';
import { computeDigest, Marks } from '@jogakbo/messaging/marks';
import { retryKey } from '@jogakbo/messaging/topology';
import type { ConfirmChannel, Options } from 'amqplib';
import { z } from 'zod';

// Logins are global in a broker: a parallel run of this suite must not delete them.
const unique = randomBytes(4).toString('hex').replace(/\d/g, 'x');
const addSuffix = (name: string) => `${name}${unique}`;
export const [vaultName, gatewayName, friendName, intruderName, operatorName] = [
  ...['vault', 'gateway', 'friend', 'intruder', 'operator'].map(addSuffix),
] as [string, string, string, string, string];
export const vault = service(vaultName);
export const Open = vault.command('open', { input: z.strictObject({ box: z.string() }) });
export const Peek = vault.query('peek', { input: z.strictObject({}), output: z.object({}) });
export const Shut = service(friendName).event('shut', z.object({ box: z.string() }), { subject: 'box' });

export const retryDelays = [50, 100, 200];
export const caller = JSON.stringify({ memberId: 'm-1', roles: ['operator'] });
export const address = '192.0.2.1';

export type Headers = Record<string, unknown>;
export type Send = (channel: ConfirmChannel, content: Buffer, options: Options.Publish) => Promise<unknown>;

/** Via dead-lettering from a queue of the sender: the broker does not check the routing key against its permissions. */
export const publishViaOwnQueue =
  (exchange: string, key: string): Send =>
  async (channel, content, options) => {
    const { queue } = await channel.assertQueue('', {
      ...{ exclusive: true, messageTtl: 0, deadLetterExchange: exchange, deadLetterRoutingKey: key },
    });
    channel.sendToQueue(queue, content, options);
    await channel.waitForConfirms();
  };
export const publishDirectly =
  (exchange: string, key: string, more: Options.Publish = {}): Send =>
  async (channel, content, options) => {
    channel.publish(exchange, key, content, { ...options, ...more });
    await channel.waitForConfirms();
  };

export const commandQueue = queues.commands(vaultName);
export const [requests, dead] = [exchanges.requests(vaultName), exchanges.dead(vaultName)];
/** All routes into the queue of the vault. */
export const ways: Record<string, Send> = {
  'with its routing key': publishDirectly(requests, Open.name),
  'directly to the queue': publishDirectly('', commandQueue),
  'as a replay': publishDirectly(dead, commandQueue),
  'as a delayed retry': publishDirectly(exchanges.retry(vaultName), retryKey(50, commandQueue)),
  'via a queue of the sender': publishViaOwnQueue(requests, Open.name),
  'via a queue of the sender, as a replay': publishViaOwnQueue(dead, commandQueue),
  'as a CC of another message': publishDirectly(dead, 'other', { CC: [commandQueue] } as object),
  'as a BCC of another message': publishDirectly(requests, 'other', { BCC: [Open.name] } as object),
};

export const createDeath = (queue: string) => ({
  ...{ count: 1, exchange: requests, queue, reason: 'expired', 'routing-keys': [Open.name] },
});
/** Headers that a sender can forge to impersonate another sender. */
export const createForgeries = (content: Buffer, messageId: string): Record<string, Headers> => {
  const first = { sender: gatewayName, failures: 2, 'first-failed-at': new Date().toISOString() };
  const foreign = new Marks(ServiceKey.random());
  return {
    nothing: {},
    'a first sender': first,
    'a mark': { ...first, mark: randomBytes(32).toString('base64url') },
    'a mark with its own key': foreign.add(messageId, content, { ...first, caller, address }),
    'an empty mark': { ...first, mark: '' },
    'a replay by an operator': { ...first, 'replayed-for': vaultName },
    'an edit of an unmarked message': {
      ...{ ...first, 'replayed-for': vaultName, 'edited-from': computeDigest(content) },
    },
    'a replay by an operator to another service': { ...first, 'replayed-for': intruderName },
    'an edit by an operator': {
      ...foreign.add(messageId, content, { ...first, caller, address }),
      ...{ 'replayed-for': vaultName, 'edited-from': computeDigest(content), 'edited-by': operatorName },
    },
    'an x-death of the queue of a version': { ...first, 'x-death': [createDeath(`${commandQueue}@1`)] },
    'an x-death of a retry queue': {
      ...first,
      'x-death': [createDeath(queues.retry(vaultName, 50)), createDeath(queues.queries(vaultName))],
    },
    'the first x-death': {
      ...first,
      ...{ 'x-first-death-queue': `${commandQueue}@1`, 'x-first-death-exchange': requests },
      ...{ 'x-first-death-reason': 'expired', 'x-delivery-count': 3 },
    },
  };
};
