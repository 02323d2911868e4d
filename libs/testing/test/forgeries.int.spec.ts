import { randomBytes, randomUUID } from 'node:crypto';
import { service, type Body } from '@jogakbo/contract';
import { exchanges, Handles, queues, ServiceKey, type MessageContext } from '@jogakbo/messaging';
import { declareTopology } from '@jogakbo/messaging/declare-topology';
import { assertGrantsStream, publishGrants } from '@jogakbo/messaging/grants-stream';
import { computeDigest, Marks } from '@jogakbo/messaging/marks';
import { retryKey } from '@jogakbo/messaging/topology';
import { Service, start, type RunningService } from '@jogakbo/service';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Controller } from '@nestjs/common';
import { connect, type ChannelModel, type ConfirmChannel, type Options } from 'amqplib';
import { z } from 'zod';
import { eventually, privateBroker, type PrivateBroker } from '../src/index.ts';

// A login is known to the whole broker: another run of this suite must not take it away.
const unique = randomBytes(4).toString('hex').replace(/\d/g, 'x');
const named = (name: string) => `${name}${unique}`;
const [vaultName, gatewayName, friendName, thiefName, bossName] = [
  ...['vault', 'gateway', 'friend', 'thief', 'boss'].map(named),
] as [string, string, string, string, string];
const vault = service(vaultName);
const Open = vault.command('open', { input: z.strictObject({ box: z.string() }) });
const Peek = vault.query('peek', { input: z.strictObject({}), output: z.object({}) });
const Shut = service(friendName).event('shut', z.object({ box: z.string() }), { subject: 'box' });

/** By box: who opened it, on behalf of whom, and from where. */
const opened = new Map<
  string,
  { sender: unknown; member: string | undefined; address: string | undefined }
>();
const shut: string[] = [];

@Controller()
class Guard {
  @Handles(Open)
  open({ box }: Body<typeof Open>, { incoming }: MessageContext) {
    if (box.startsWith('stiff') && incoming.failures < 2) throw new Error('it is stiff');
    const { caller, address } = incoming.context;
    opened.set(box, { sender: incoming.sender, member: caller?.memberId, address });
  }

  @Handles(Peek)
  peek() {
    return {};
  }

  @Handles(Shut)
  shut({ box }: Body<typeof Shut>) {
    shut.push(box);
  }
}

@Service({ contract: vault, handlers: [Guard] })
class VaultModule {}

const ladder = [50, 100, 200];
const caller = JSON.stringify({ memberId: 'm-1', roles: ['operator'] });
const address = '192.0.2.1';

type Headers = Record<string, unknown>;
type Send = (channel: ConfirmChannel, content: Buffer, options: Options.Publish) => Promise<unknown>;

/** A queue of the sender hands the message on: the broker does not check whether the sender may use that key. */
const viaOwnQueue =
  (exchange: string, key: string): Send =>
  async (channel, content, options) => {
    const { queue } = await channel.assertQueue('', {
      ...{ exclusive: true, messageTtl: 0, deadLetterExchange: exchange, deadLetterRoutingKey: key },
    });
    channel.sendToQueue(queue, content, options);
    await channel.waitForConfirms();
  };
const straight =
  (exchange: string, key: string, more: Options.Publish = {}): Send =>
  async (channel, content, options) => {
    channel.publish(exchange, key, content, { ...options, ...more });
    await channel.waitForConfirms();
  };

const commandQueue = queues.commands(vaultName);
const [requests, dead] = [exchanges.requests(vaultName), exchanges.dead(vaultName)];
/** Every way on which a message can get into the queue of the vault. */
const ways: Record<string, Send> = {
  'under its key': straight(requests, Open.name),
  'into the queue itself': straight('', commandQueue),
  'as if it came again': straight(dead, commandQueue),
  'as if it waited for its next attempt': straight(exchanges.retry(vaultName), retryKey(50, commandQueue)),
  'through a queue of its own': viaOwnQueue(requests, Open.name),
  'through a queue of its own, as if it came again': viaOwnQueue(dead, commandQueue),
  'beside another message': straight(dead, 'other', { CC: [commandQueue] } as object),
  'beside another message, unseen': straight(requests, 'other', { BCC: [Open.name] } as object),
};

/** What a sender can write into the headers in order to look like somebody else. */
const death = (queue: string) => ({
  ...{ count: 1, exchange: requests, queue, reason: 'expired', 'routing-keys': [Open.name] },
});
const forgeries = (content: Buffer, messageId: string): Record<string, Headers> => {
  const first = { sender: gatewayName, failures: 2, 'first-failed-at': new Date().toISOString() };
  const foreign = new Marks(ServiceKey.random());
  return {
    nothing: {},
    'who sent it first': first,
    'a mark': { ...first, mark: randomBytes(32).toString('base64url') },
    'a mark of its own key': foreign.add(messageId, content, { ...first, caller, address }),
    'an empty mark': { ...first, mark: '' },
    'that an operator sent it again': { ...first, 'replayed-for': vaultName },
    'that an operator sent it again to another service': { ...first, 'replayed-for': thiefName },
    'that an operator edited it': {
      ...foreign.add(messageId, content, { ...first, caller, address }),
      ...{ 'replayed-for': vaultName, 'edited-from': computeDigest(content), 'edited-by': bossName },
    },
    'a death in the queue of a version': { ...first, 'x-death': [death(`${commandQueue}@1`)] },
    'a death on the ladder': {
      ...first,
      'x-death': [death(queues.retry(vaultName, 50)), death(queues.queries(vaultName))],
    },
    'where it first died': {
      ...first,
      ...{ 'x-first-death-queue': `${commandQueue}@1`, 'x-first-death-exchange': requests },
      ...{ 'x-first-death-reason': 'expired', 'x-delivery-count': 3 },
    },
  };
};

describe('a message that pretends', () => {
  let broker: PrivateBroker;
  let running: RunningService;
  const models: Record<string, ChannelModel> = {};
  const channels: Record<string, ConfirmChannel> = {};

  beforeAll(async () => {
    broker = await privateBroker();
    const names = [vaultName, gatewayName, friendName, thiefName, bossName];
    const urls = Object.fromEntries(
      await Promise.all(names.map(async (name) => [name, await broker.login(name)] as const)),
    );
    for (const name of names) {
      models[name] = await connect(urls[name]!);
      channels[name] = await models[name].createConfirmChannel();
    }
    const boss = channels[bossName]!;
    await assertGrantsStream(boss);
    const declares = (name: string, more: object = {}) => ({
      ...{ service: name, contracts: [], calls: [], hears: [], tells: [], isGateway: false },
      ...more,
    });
    const offered = { asks: [], hears: [], routes: ['POST /v1/openings'], access: 'operator' };
    const registered = [
      declares(vaultName, { contracts: [{ name: Open.name, kind: 'command', offered }], hears: [Shut.name] }),
      declares(gatewayName, { isGateway: true }),
      declares(friendName, { calls: [Open.name] }),
      declares(thiefName, { calls: [Peek.name] }),
    ];
    await declareTopology(boss, registered, bossName, ladder);
    await publishGrants(boss, registered, bossName);
    const environment = {
      ...{ LOG_LEVEL: 'error', RETRY_LADDER: ladder.join(), BROKER_OPERATOR: bossName },
      ...{ RABBITMQ_URL: urls[vaultName], SERVICE_KEY: randomBytes(32).toString('base64url') },
    };
    running = await start(VaultModule, { environment });
  });
  afterAll(async () => {
    await running?.stop();
    await Promise.all(Object.values(models).map((model) => model.close()));
    await broker.drop();
  });

  const command = (box: string) => Buffer.from(JSON.stringify({ pattern: Open.name, data: { box } }));
  /** Sent by the gateway after everything else: when it is open, all before it has been decided. */
  async function afterAllThat(): Promise<void> {
    const box = `last ${randomUUID()}`;
    await straight(requests, Open.name)(channels[gatewayName]!, command(box), {
      ...{ messageId: randomUUID(), userId: gatewayName },
    });
    await eventually(() => opened.has(box) || undefined);
  }

  const mayOpen = [gatewayName, friendName, vaultName, bossName];
  const all = [gatewayName, friendName, vaultName, bossName, thiefName, 'nobody'];

  it.each(Object.keys(ways))(
    '%s is taken for what the broker knows of its sender, whatever its headers say',
    async (way) => {
      const expected = new Map<string, unknown>();
      const taken: string[] = [];
      for (const name of all) {
        const kinds = Object.keys(forgeries(Buffer.from(''), ''));
        for (const kind of kinds) {
          const box = `${way}, ${name}, ${kind}`;
          const content = command(box);
          const messageId = randomUUID();
          const headers: Headers = { ...forgeries(content, messageId)[kind], caller, address };
          const userId = name === 'nobody' ? undefined : name;
          const sender = channels[userId ?? thiefName]!;
          await ways[way]!(sender, content, { messageId, headers, ...(userId && { userId }) });
          // An operator sends again what others sent: it says for which service, and who, and is believed where it carries no mark.
          const again = name === bossName && ('sender' in headers || 'mark' in headers);
          const says = again && !('mark' in headers) && headers['replayed-for'] === vaultName;
          const isOpened = mayOpen.includes(name) && (!again || says);
          const isGateway = name === gatewayName || says;
          taken.push(box);
          if (isOpened)
            expected.set(box, {
              sender: says ? gatewayName : name,
              member: isGateway ? 'm-1' : undefined,
              address: isGateway ? address : undefined,
            });
        }
      }
      await afterAllThat();
      // What waits for its next attempt comes a moment later.
      await eventually(() => [...expected.keys()].every((box) => opened.has(box)) || undefined);
      const seen = Object.fromEntries(
        taken.flatMap((box) => (opened.has(box) ? [[box, opened.get(box)]] : [])),
      );
      expect(seen).toEqual(Object.fromEntries(expected));
      expect(expected.size).toBeGreaterThan(20);
    },
    30_000,
  );

  it('keeps who sent it, and for whom, over retries and a replay', async () => {
    const box = `stiff ${randomUUID()}`;
    const messageId = randomUUID();
    await straight(requests, Open.name)(channels[gatewayName]!, command(box), {
      ...{ messageId, userId: gatewayName, headers: { caller, address } },
    });
    await eventually(() => opened.has(box) || undefined);
    expect(opened.get(box)).toEqual({ sender: gatewayName, member: 'm-1', address });
  });

  it('keeps who sent it, and not for whom, when an operator edits it', async () => {
    const messageId = randomUUID();
    const wrong = Buffer.from(JSON.stringify({ pattern: Open.name, data: { box: 17 } }));
    await straight(requests, Open.name)(channels[gatewayName]!, wrong, {
      ...{ messageId, userId: gatewayName, headers: { caller, address } },
    });
    const letter = await eventually(async () => {
      const next = await channels[bossName]!.get(queues.dead(vaultName), { noAck: true });
      return next && next.properties.messageId === messageId ? next : undefined;
    });
    const { headers } = letter.properties;
    const boxes = ['edited', 'edited for another', 'edited, of another body', 'edited by its service'].map(
      (box) => `${box} ${randomUUID()}`,
    );
    const edit = { ...headers, 'edited-from': computeDigest(wrong), 'replayed-for': vaultName };
    const sends = straight(dead, commandQueue);
    const sent = { messageId, userId: bossName };
    await sends(channels[vaultName]!, command(boxes[3]!), { messageId, userId: vaultName, headers: edit });
    await sends(channels[bossName]!, command(boxes[2]!), {
      ...{ ...sent, headers: { ...edit, 'edited-from': computeDigest(command('x')) } },
    });
    await sends(channels[bossName]!, command(boxes[1]!), {
      ...{ ...sent, headers: { ...edit, 'replayed-for': thiefName } },
    });
    await sends(channels[bossName]!, command(boxes[0]!), { ...sent, headers: edit });
    await eventually(() => opened.has(boxes[0]!) || undefined);
    expect(boxes.map((box) => opened.get(box))).toEqual([
      { sender: gatewayName, member: undefined, address: undefined },
      undefined,
      undefined,
      // Its own word, as that of any login.
      { sender: vaultName, member: undefined, address: undefined },
    ]);
  });

  it('is no event of another service, nor an old one of that service that somebody kept', async () => {
    const event = (box: string) => Buffer.from(JSON.stringify({ pattern: Shut.name, data: { box } }));
    const send = (way: Send, name: string, box: string, headers: Headers = {}) =>
      way(channels[name]!, event(box), { messageId: randomUUID(), userId: name, headers });
    const direct = straight(exchanges.events(Shut.name), Shut.name);
    for (const name of [thiefName, gatewayName, vaultName, bossName]) await send(direct, name, `of ${name}`);
    // Its owner's words, through a queue that only the owner can have filled: the broker cannot tell when.
    await send(viaOwnQueue(exchanges.events(Shut.name), Shut.name), friendName, 'kept');
    await send(viaOwnQueue(dead, queues.events(vaultName)), friendName, 'kept as well');
    await send(direct, friendName, 'disguised as kept', { 'x-death': [death(queues.events(vaultName))] });
    await send(direct, friendName, 'new');
    await eventually(() => shut.includes('new') || undefined);
    expect(shut).toEqual(['new']);
  });

  it('registers nothing: only operators say what services may do', async () => {
    const declares = {
      service: thiefName,
      contracts: [],
      calls: [Open.name],
      hears: [],
      tells: [],
      isGateway: true,
    };
    const content = Buffer.from(JSON.stringify({ services: [declares] }));
    for (const userId of [thiefName, undefined])
      await straight('', 'grants')(channels[thiefName]!, content, {
        messageId: randomUUID(),
        ...(userId && { userId }),
      });
    const box = `after ${randomUUID()}`;
    const sent = { messageId: randomUUID(), userId: thiefName, headers: { caller } };
    await straight(requests, Open.name)(channels[thiefName]!, command(box), sent);
    await afterAllThat();
    expect(opened.has(box)).toBe(false);
  });
});
