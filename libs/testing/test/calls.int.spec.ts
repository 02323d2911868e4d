import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { service } from '@jogakbo/contract';
import { Ask, BrokerConnection, Handles, Instances, Publisher, RabbitClient } from '@jogakbo/messaging';
import { Service, start, type RunningService } from '@jogakbo/service';
import { Controller } from '@nestjs/common';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { eventually, ServiceUnderTest } from '../src/index.ts';

const oracle = service('oracle', 'Answers, or hangs.', { openFor: 500, calls: 10 });
const Answer = oracle.query('answer', {
  input: z.strictObject({ hang: z.boolean() }),
  output: z.object({ answer: z.int() }),
});
const shop = service('shop');
const Consult = shop.query('consult', { input: Answer.input, output: Answer.output });

@Controller()
class AnswerHandler {
  @Handles(Answer)
  async answer({ hang }: { hang: boolean }) {
    if (hang) await sleep(1_000);
    return { answer: 42 };
  }
}
@Service({ contract: oracle, handlers: [AnswerHandler] })
class OracleModule {}

@Controller()
class ConsultHandler {
  constructor(private readonly ask: Ask) {}

  @Handles(Consult)
  consult(input: { hang: boolean }) {
    return this.ask(Answer, input, { timeout: 300 });
  }
}
@Service({ contract: shop, calls: [Answer], handlers: [ConsultHandler] })
class ShopModule {}

const mall = service('mall');
const Enter = mall.query('enter', { input: Answer.input, output: Answer.output });

@Controller()
class EnterHandler {
  constructor(private readonly ask: Ask) {}

  @Handles(Enter)
  enter(input: { hang: boolean }) {
    return this.ask(Consult, input);
  }
}
@Service({ contract: mall, calls: [Consult], handlers: [EnterHandler] })
class MallModule {}

describe('calls between services', () => {
  let caller: ServiceUnderTest;
  let callee: RunningService | undefined;
  let connection: BrokerConnection;
  let instances: Instances;

  const runOracle = (environment: NodeJS.ProcessEnv = {}) =>
    start(OracleModule, {
      environment: { RABBITMQ_URL: caller.broker.url, LOG_LEVEL: 'error', ...environment },
    });
  beforeAll(async () => {
    caller = await ServiceUnderTest.start(ShopModule, { ANNOUNCE_EVERY: '0.2' });
    callee = await runOracle();
    connection = await new BrokerConnection().open(caller.broker.url, 'listener');
    const publisher = new Publisher(connection);
    await publisher.open();
    instances = new Instances(connection, publisher, 'listener');
    await instances.open();
  });
  afterAll(async () => {
    await instances.close();
    await connection.close();
    await callee?.stop();
    await caller.stop();
  });

  const consult = (hang = false) => caller.ask(Consult, { hang }).then(({ answer }) => answer);
  const leftAlone = () => instances.present.find(({ service }) => service === 'shop')?.leftAlone;
  const metric = async (name: string, of: { url: string } = caller, callee = 'oracle') => {
    const text = await (await fetch(`${of.url}/metrics`)).text();
    const line = text
      .split('\n')
      .find((line) => line.startsWith(name) && line.includes(`callee="${callee}"`));
    return line && Number(line.split(' ').at(-1));
  };

  it('leave a callee alone that does not answer, say so, and come back to it by themselves', async () => {
    await expect(consult()).resolves.toBe(42);
    expect(await metric('calls_circuit')).toBe(0);
    await Promise.allSettled(Array.from({ length: 10 }, () => consult(true)));
    expect(await metric('calls_circuit')).toBe(2);

    const startedAt = performance.now();
    await expect(consult()).rejects.toMatchObject({ code: 'unavailable' });
    expect(performance.now() - startedAt).toBeLessThan(300);
    await eventually(() => leftAlone()?.includes('oracle'));

    await eventually(async () => (await consult().catch(() => 0)) === 42);
    expect(await metric('calls_circuit')).toBe(0);
    await eventually(() => leftAlone()?.length === 0);
  });

  it('fail fast while nobody is there, and go on when somebody is', async () => {
    await callee!.stop();
    callee = undefined;
    await eventually(async () => {
      await consult().catch(() => {});
      return (await metric('calls_circuit')) === 2;
    });
    callee = await runOracle();
    await eventually(async () => (await consult().catch(() => 0)) === 42);
  });

  it('do not leave alone who only leans on somebody that is away', async () => {
    const front = await start(MallModule, {
      environment: { RABBITMQ_URL: caller.broker.url, LOG_LEVEL: 'error' },
    });
    try {
      await eventually(() => caller.ask(Enter, { hang: false }).then(() => true));
      await Promise.allSettled(Array.from({ length: 20 }, () => caller.ask(Enter, { hang: true })));
      expect(await metric('calls_circuit')).toBe(2);
      expect(await metric('calls_circuit', front, 'shop')).toBe(0);
      expect(await metric('calls_retried', front, 'shop')).toBe(0);
    } finally {
      await front.stop();
    }
  });

  it('are refused at once where too many questions are being answered, and only then', async () => {
    await callee!.stop();
    callee = await runOracle({ CONCURRENCY: '2' });
    const ask = (hang: boolean) => caller.ask(Answer, { hang }).then(({ answer }) => answer);
    await eventually(() => ask(false).catch(() => undefined));
    const slow = [ask(true), ask(true)];
    await sleep(300);
    const startedAt = performance.now();
    const more = await Promise.allSettled([ask(false), ask(false), ask(false)]);
    expect(performance.now() - startedAt).toBeLessThan(500);
    for (const one of more) {
      expect(one).toMatchObject({ status: 'rejected', reason: { code: 'overloaded', answered: true } });
    }
    await expect(Promise.all(slow)).resolves.toEqual([42, 42]);
    await expect(ask(false)).resolves.toBe(42);
  });
});

describe('calls of somebody who is not there', () => {
  /** Its circuit stays closed for 500 attempts: nothing but the budget bounds what is tried again. */
  const ghost = service('ghost', 'Never answers.', { failures: 0.99, calls: 1_000 });
  const phantom = service('phantom', 'Never answers, and is left alone for that.');
  const shape = { input: z.strictObject({}), output: z.strictObject({}) };
  const [Haunt, Appear] = [ghost.query('haunt', shape), phantom.query('appear', shape)];

  @Service({ contract: service('house'), calls: [Haunt, Appear] })
  class HouseModule {}
  let house: ServiceUnderTest;
  beforeAll(async () => {
    house = await ServiceUnderTest.start(HouseModule, {});
  });
  afterAll(() => house.stop());

  /** Questions that left for it, alone or several in a message, while it was asked 400 times. */
  async function sentWhileAsking(question: typeof Haunt | typeof Appear): Promise<number> {
    const publish = jest.spyOn(house.get(Publisher), 'publish');
    const { ask } = house.get(RabbitClient);
    for (let round = 0; round < 8; round++) {
      const asked = await Promise.allSettled(Array.from({ length: 50 }, () => ask(question, {})));
      for (const one of asked) {
        expect(one).toMatchObject({ status: 'rejected', reason: { code: 'unavailable' } });
      }
    }
    const sent = publish.mock.calls
      .filter(([{ routingKey }]) => routingKey.startsWith(question.name))
      .flatMap(([{ content }]) => JSON.parse(content.toString()) as object | object[]);
    publish.mockRestore();
    return sent.length;
  }

  it('become no more than 1.1 times as many by being tried again', async () => {
    const sent = await sentWhileAsking(Haunt);
    expect(sent).toBeGreaterThan(420);
    // One more: what the budget begins with.
    expect(sent).toBeLessThanOrEqual(441);
  });

  it('become far less once the circuit is open', async () => {
    expect(await sentWhileAsking(Appear)).toBeLessThan(100);
  });
});
