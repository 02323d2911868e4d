import { randomBytes, randomUUID } from 'node:crypto';
import { type Body } from '@jogakbo/contract';
import { exchanges, Handles, queues, type MessageContext } from '@jogakbo/messaging';
import { declareTopology } from '@jogakbo/messaging/declare-topology';
import { assertGrantsStream, publishGrants } from '@jogakbo/messaging/grants-stream';
import { computeDigest } from '@jogakbo/messaging/marks';
import { Service, start, type RunningService } from '@jogakbo/service';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Controller } from '@nestjs/common';
import { connect, type ChannelModel, type ConfirmChannel } from 'amqplib';
import { eventually, createPrivateBroker, type PrivateBroker } from '@jogakbo/testing';
import {
  vault,
  Open,
  Peek,
  Shut,
  retryDelays,
  caller,
  address,
  commandQueue,
  ways,
  createDeath,
  createForgeries,
  publishViaOwnQueue,
  publishDirectly,
  vaultName,
  gatewayName,
  friendName,
  intruderName,
  operatorName,
  requests,
  dead,
  type Headers,
  type Send,
} from './forged-messages.ts';

/** By box: the sender of the command, the member and the client address. */
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
    const { caller, address } = incoming.callContext;
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

describe('a message with forged headers', () => {
  let broker: PrivateBroker;
  let running: RunningService;
  const models: Record<string, ChannelModel> = {};
  const channels: Record<string, ConfirmChannel> = {};

  beforeAll(async () => {
    broker = await createPrivateBroker();
    const names = [vaultName, gatewayName, friendName, intruderName, operatorName];
    const urls = Object.fromEntries(
      await Promise.all(names.map(async (name) => [name, await broker.login(name)] as const)),
    );
    for (const name of names) {
      models[name] = await connect(urls[name]!);
      channels[name] = await models[name].createConfirmChannel();
    }
    const operator = channels[operatorName]!;
    await assertGrantsStream(operator);
    const createDeclaration = (name: string, more: object = {}) => ({
      ...{ service: name, contracts: [], calls: [], subscribesTo: [], publishes: [], isGateway: false },
      ...more,
    });
    const offered = { asks: [], subscribesTo: [], routes: ['POST /v1/openings'], access: 'operator' };
    const registered = [
      createDeclaration(vaultName, {
        contracts: [{ name: Open.name, kind: 'command', offered }],
        subscribesTo: [Shut.name],
      }),
      createDeclaration(gatewayName, { isGateway: true }),
      createDeclaration(friendName, { calls: [Open.name] }),
      createDeclaration(intruderName, { calls: [Peek.name] }),
    ];
    await declareTopology(operator, registered, operatorName, retryDelays);
    await publishGrants(operator, registered, operatorName);
    const environment = {
      ...{ LOG_LEVEL: 'error', RETRY_DELAYS: retryDelays.join(), BROKER_OPERATOR: operatorName },
      ...{ RABBITMQ_URL: urls[vaultName], SERVICE_KEY: randomBytes(32).toString('base64url') },
    };
    running = await start(VaultModule, { environment });
  });
  afterAll(async () => {
    await running?.stop();
    await Promise.all(Object.values(models).map((model) => model.close()));
    await broker.drop();
  });

  const createCommand = (box: string) => Buffer.from(JSON.stringify({ pattern: Open.name, data: { box } }));
  /** Sends a last command as the gateway: when it is handled, all earlier messages are handled too. */
  async function waitForEarlierMessages(): Promise<void> {
    const box = `last ${randomUUID()}`;
    await publishDirectly(requests, Open.name)(channels[gatewayName]!, createCommand(box), {
      ...{ messageId: randomUUID(), userId: gatewayName },
    });
    await eventually(() => opened.has(box) || undefined);
  }

  const mayOpen = [gatewayName, friendName, vaultName, operatorName];
  const all = [gatewayName, friendName, vaultName, operatorName, intruderName, 'anonymous'];

  it.each(Object.keys(ways))(
    '%s is attributed to the sender that the broker has verified, regardless of its headers',
    async (way) => {
      const expected = new Map<string, unknown>();
      const taken: string[] = [];
      for (const name of all) {
        const kinds = Object.keys(createForgeries(Buffer.from(''), ''));
        for (const kind of kinds) {
          const box = `${way}, ${name}, ${kind}`;
          const content = createCommand(box);
          const messageId = randomUUID();
          const headers: Headers = { ...createForgeries(content, messageId)[kind], caller, address };
          const userId = name === 'anonymous' ? undefined : name;
          const sender = channels[userId ?? intruderName]!;
          await ways[way]!(sender, content, { messageId, headers, ...(userId && { userId }) });
          // A replay by the operator names the service and the original sender; it is accepted if it has no mark.
          const isReplay = name === operatorName && ('sender' in headers || 'mark' in headers);
          const isAccepted = isReplay && !('mark' in headers) && headers['replayed-for'] === vaultName;
          const isOpened = mayOpen.includes(name) && (!isReplay || isAccepted);
          // Edited data is not that of the member.
          const isGateway = name === gatewayName || (isAccepted && !('edited-from' in headers));
          taken.push(box);
          if (isOpened)
            expected.set(box, {
              sender: isAccepted ? gatewayName : name,
              member: isGateway ? 'm-1' : undefined,
              address: isGateway ? address : undefined,
            });
        }
      }
      await waitForEarlierMessages();
      // Delayed retries arrive later.
      await eventually(() => [...expected.keys()].every((box) => opened.has(box)) || undefined);
      const seen = Object.fromEntries(
        taken.flatMap((box) => (opened.has(box) ? [[box, opened.get(box)]] : [])),
      );
      expect(seen).toEqual(Object.fromEntries(expected));
      expect(expected.size).toBeGreaterThan(20);
    },
    30_000,
  );

  it('keeps its sender and its member through retries', async () => {
    const box = `stiff ${randomUUID()}`;
    const messageId = randomUUID();
    await publishDirectly(requests, Open.name)(channels[gatewayName]!, createCommand(box), {
      ...{ messageId, userId: gatewayName, headers: { caller, address } },
    });
    await eventually(() => opened.has(box) || undefined);
    expect(opened.get(box)).toEqual({ sender: gatewayName, member: 'm-1', address });
  });

  it('keeps its sender, but not its member, when an operator edits it', async () => {
    const messageId = randomUUID();
    const wrong = Buffer.from(JSON.stringify({ pattern: Open.name, data: { box: 17 } }));
    await publishDirectly(requests, Open.name)(channels[gatewayName]!, wrong, {
      ...{ messageId, userId: gatewayName, headers: { caller, address } },
    });
    const letter = await eventually(async () => {
      const next = await channels[operatorName]!.get(queues.dead(vaultName), { noAck: true });
      return next && next.properties.messageId === messageId ? next : undefined;
    });
    const { headers } = letter.properties;
    const boxes = [
      'edited',
      'edited for another service',
      'edited from another body',
      'edited by its service',
      'stiff, edited',
    ].map((box) => `${box} ${randomUUID()}`);
    const edit = { ...headers, 'edited-from': computeDigest(wrong), 'replayed-for': vaultName };
    const sends = publishDirectly(dead, commandQueue);
    const sent = { messageId, userId: operatorName };
    await sends(channels[vaultName]!, createCommand(boxes[3]!), {
      messageId,
      userId: vaultName,
      headers: edit,
    });
    await sends(channels[operatorName]!, createCommand(boxes[2]!), {
      ...{ ...sent, headers: { ...edit, 'edited-from': computeDigest(createCommand('x')) } },
    });
    await sends(channels[operatorName]!, createCommand(boxes[1]!), {
      ...{ ...sent, headers: { ...edit, 'replayed-for': intruderName } },
    });
    for (const box of [boxes[0]!, boxes[4]!])
      await sends(channels[operatorName]!, createCommand(box), { ...sent, headers: edit });
    await eventually(() => (opened.has(boxes[0]!) && opened.has(boxes[4]!)) || undefined);
    expect(boxes.map((box) => opened.get(box))).toEqual([
      { sender: gatewayName, member: undefined, address: undefined },
      undefined,
      undefined,
      // An edit by the service itself counts as a message from it.
      { sender: vaultName, member: undefined, address: undefined },
      // Its first attempts failed.
      { sender: gatewayName, member: undefined, address: undefined },
    ]);
  });

  it('is rejected as an event of another service, and as a stored old event of that service', async () => {
    const event = (box: string) => Buffer.from(JSON.stringify({ pattern: Shut.name, data: { box } }));
    const send = (way: Send, name: string, box: string, headers: Headers = {}) =>
      way(channels[name]!, event(box), { messageId: randomUUID(), userId: name, headers });
    const direct = publishDirectly(exchanges.events(Shut.name), Shut.name);
    for (const name of [intruderName, gatewayName, vaultName, operatorName])
      await send(direct, name, `of ${name}`);
    // Events of their owner via its own queue: the broker cannot verify how old they are.
    await send(publishViaOwnQueue(exchanges.events(Shut.name), Shut.name), friendName, 'kept');
    await send(publishViaOwnQueue(dead, queues.events(vaultName)), friendName, 'kept as well');
    await send(direct, friendName, 'disguised as kept', {
      'x-death': [createDeath(queues.events(vaultName))],
    });
    await send(direct, friendName, 'new');
    await eventually(() => shut.includes('new') || undefined);
    expect(shut).toEqual(['new']);
  });

  it('cannot grant permissions: only operators can', async () => {
    const declaration = {
      service: intruderName,
      contracts: [],
      calls: [Open.name],
      subscribesTo: [],
      publishes: [],
      isGateway: true,
    };
    const content = Buffer.from(JSON.stringify({ services: [declaration] }));
    for (const userId of [intruderName, undefined])
      await publishDirectly('', 'grants')(channels[intruderName]!, content, {
        messageId: randomUUID(),
        ...(userId && { userId }),
      });
    const box = `after ${randomUUID()}`;
    const sent = { messageId: randomUUID(), userId: intruderName, headers: { caller } };
    await publishDirectly(requests, Open.name)(channels[intruderName]!, createCommand(box), sent);
    await waitForEarlierMessages();
    expect(opened.has(box)).toBe(false);
  });
});
