import { randomBytes, randomUUID } from 'node:crypto';
import { describe as toDescription, sensitive, service } from '@jogakbo/contract';
import {
  Ask,
  BrokerConnection,
  DecryptionKeys,
  exchanges,
  Instances,
  Jwe,
  Publisher,
  queues,
  ServiceKey,
} from '@jogakbo/messaging';
import { declareTopology } from '@jogakbo/messaging/declare-topology';
import { assertGrantsStream, publishGrants } from '@jogakbo/messaging/grants-stream';
import { assertService, instanceEvents } from '@jogakbo/messaging/topology';
import { Service, start, type RunningService } from '@jogakbo/service';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { connect, type ChannelModel, type ConfirmChannel } from 'amqplib';
import { z } from 'zod';
import { eventually, createPrivateBroker, type PrivateBroker } from '@jogakbo/testing';

// Logins are global in a broker: a parallel run of this suite must not delete them.
const unique = randomBytes(4).toString('hex').replace(/\d/g, 'x');
const [shopName, bankName, operatorName] = ['shop', 'bank', 'operator'].map((name) => `${name}${unique}`) as [
  string,
  string,
  string,
];
const bank = service(bankName);
const Pay = bank.command('pay', { input: z.strictObject({ card: sensitive(z.string()) }) });

@Service({ contract: service(shopName), calls: [Pay], handlers: [] })
class ShopModule {}

describe('an announcement from a stolen service login', () => {
  const bankKeys = new DecryptionKeys(ServiceKey.random());
  const intruderKeys = new DecryptionKeys(ServiceKey.random());
  let broker: PrivateBroker;
  let shop: RunningService;
  const models: ChannelModel[] = [];
  let operatorUrl: string;
  let operator: ConfirmChannel;
  let intruder: ConfirmChannel;

  const open = async (url: string): Promise<ConfirmChannel> => {
    const model = await connect(url);
    models.push(model);
    return model.createConfirmChannel();
  };

  beforeAll(async () => {
    broker = await createPrivateBroker();
    const [shopUrl, bankUrl, thirdUrl] = await Promise.all(
      [shopName, bankName, operatorName].map((name) => broker.login(name)),
    );
    operatorUrl = thirdUrl!;
    [operator, intruder] = await Promise.all([open(operatorUrl), open(bankUrl!)]);
    // As in a deployment.
    const retryDelays = [50, 100];
    await assertGrantsStream(operator);
    const registered = [
      {
        service: shopName,
        contracts: [],
        calls: [Pay.name],
        subscribesTo: [],
        publishes: [],
        isGateway: false,
      },
      {
        ...{ service: bankName, calls: [], subscribesTo: [], publishes: [], isGateway: false },
        contracts: [{ name: Pay.name, kind: 'command' as const, sensitive: true }],
        encryptionKeys: [...bankKeys.publicKeys],
      },
    ];
    await declareTopology(operator, registered, operatorName, retryDelays);
    const taken = { commands: [Pay.name], queries: [], events: [] };
    await assertService(operator, bankName, taken, { retryDelays: retryDelays, isPredeclared: true });
    await publishGrants(operator, registered, operatorName);
    shop = await start(ShopModule, {
      environment: {
        ...{ LOG_LEVEL: 'error', RETRY_DELAYS: retryDelays.join(), BROKER_OPERATOR: operatorName },
        ...{ RABBITMQ_URL: shopUrl, SERVICE_KEY: randomBytes(32).toString('base64url') },
      },
    });
  });
  afterAll(async () => {
    await shop?.stop();
    await Promise.all(models.map((model) => model.close()));
    await broker.drop();
  });

  async function announce(more: object, pattern: string = instanceEvents.announced): Promise<void> {
    const data = {
      ...{ service: bankName, version: '1', instance: `${bankName}-intruder`, state: 'up' },
      ...{ url: 'http://127.0.0.1:9', startedAt: '2099-01-01T00:00:00Z', interval: 60 },
      contract: toDescription(bank),
      ...more,
    };
    const content = Buffer.from(JSON.stringify({ pattern, data }));
    const options = { messageId: randomUUID(), userId: bankName };
    intruder.publish(exchanges.events('instances'), instanceEvents.announced, content, options);
    await intruder.waitForConfirms();
  }

  it('does not let its sender decrypt messages to that service', async () => {
    const [{ kid }] = bankKeys.publicKeys;
    const [stolen] = intruderKeys.publicKeys;
    for (const encryptionKeys of [[stolen], [{ ...stolen, kid }], []]) {
      await announce({ encryptionKeys });
      const request = shop.app.get<Ask>(Ask)(Pay, { card: '4111' }, { timeout: 500 });
      request.catch(() => {});
      const message = await eventually(
        async () => (await intruder.get(queues.commands(bankName), { noAck: true })) || undefined,
      );
      const { data } = JSON.parse(message.content.toString()) as { data: string };
      expect(message.content.toString()).not.toContain('4111');
      await expect(intruderKeys.decrypt(new Jwe(data), Pay.name)).rejects.toThrow();
      await expect(bankKeys.decrypt(new Jwe(data), Pay.name)).resolves.toEqual({ card: '4111' });
    }
  });

  it('cannot be about another service, whatever its pattern', async () => {
    const connection = await new BrokerConnection({ operator: operatorName }).open(operatorUrl, 'listens');
    const publisher = new Publisher(connection);
    await publisher.open();
    const instances = new Instances(connection, publisher, 'test', undefined, 'routes');
    await instances.open();
    const forged = [
      {
        service: shopName,
        instance: `${shopName}-forged`,
        contract: toDescription(service(shopName)),
      },
      { instance: 'eureka:forged:1', upstream: 'http' },
    ];
    for (const pattern of [...Object.values(instanceEvents), 'instances.other', 'x', ''])
      for (const more of forged) await announce(more, pattern);
    // Its own announcement is refused too if the pattern is not that of an announcement.
    await announce({ instance: `${bankName}-disguised` }, 'x');
    await announce({ instance: `${bankName}-own` });
    const names = () => instances.present.map(({ instance }) => instance);
    await eventually(() => names().includes(`${bankName}-own`) || undefined);
    expect(names().filter((name) => /forged|disguised/.test(name))).toEqual([]);
    await instances.close();
    await connection.close();
  });

  it('is limited in size and in the number of instances', async () => {
    const connection = await new BrokerConnection({ operator: operatorName }).open(operatorUrl, 'listens');
    let refused = 0;
    connection.onRefusedMessage(() => (refused += 1));
    const publisher = new Publisher(connection);
    await publisher.open();
    const instances = new Instances(connection, publisher, 'test');
    await instances.open();
    const own = () => instances.present.filter(({ service }) => service === bankName);
    const large = { ...toDescription(bank), description: 'x'.repeat(300_000) };
    await announce({ instance: `${bankName}-large`, contract: large });
    for (let at = 0; at < 120; at++) await announce({ instance: `${bankName}-${at}`, interval: 60 });
    await announce({ instance: `${bankName}-0`, state: 'draining' });
    await announce({ instance: `${bankName}-last`, startedAt: '2099-01-01T00:00:00Z', interval: 1e9 });
    await announce({ instance: `${bankName}-last`, startedAt: '2099-01-01T00:00:00Z' });
    await eventually(() => own().some(({ instance }) => instance === `${bankName}-last`) || undefined);
    expect(own()).toHaveLength(100);
    expect(own().map(({ instance }) => instance)).not.toContain(`${bankName}-large`);
    expect(own().every(({ startedAt }) => Date.parse(startedAt) <= Date.now())).toBe(true);
    expect(refused).toBe(21);
    await instances.close();
    await connection.close();
  });
});
