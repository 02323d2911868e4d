import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { service } from '@jogakbo/contract';
import { Ask, BrokerConnection, Handles, Instances, Publisher, RabbitClient } from '@jogakbo/messaging';
import { Service, start, type RunningService } from '@jogakbo/service';
import { Controller } from '@nestjs/common';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { eventually, ServiceUnderTest } from '@jogakbo/testing';

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
  const getOpenCircuits = () => instances.present.find(({ service }) => service === 'shop')?.openCircuits;
  const readMetric = async (name: string, of: { url: string } = caller, callee = 'oracle') => {
    const text = await (await fetch(`${of.url}/metrics`)).text();
    const line = text
      .split('\n')
      .find((line) => line.startsWith(name) && line.includes(`callee="${callee}"`));
    return line && Number(line.split(' ').at(-1));
  };

  it('open the circuit of a failing callee, announce it, and close it after recovery', async () => {
    // Its first call may wait for a connection longer than it may take.
    expect(await eventually(() => consult())).toBe(42);
    expect(await readMetric('calls_circuit')).toBe(0);
    await Promise.allSettled(Array.from({ length: 10 }, () => consult(true)));
    expect(await readMetric('calls_circuit')).toBe(2);

    const startedAt = performance.now();
    await expect(consult()).rejects.toMatchObject({ code: 'unavailable' });
    expect(performance.now() - startedAt).toBeLessThan(300);
    await eventually(() => getOpenCircuits()?.includes('oracle'));

    await eventually(async () => (await consult().catch(() => 0)) === 42);
    expect(await readMetric('calls_circuit')).toBe(0);
    await eventually(() => getOpenCircuits()?.length === 0);
  });

  it('fail fast while no instance of the callee runs, and succeed after its start', async () => {
    await callee!.stop();
    callee = undefined;
    await eventually(async () => {
      await consult().catch(() => {});
      return (await readMetric('calls_circuit')) === 2;
    });
    callee = await runOracle();
    await eventually(async () => (await consult().catch(() => 0)) === 42);
  });

  it('keep the circuit of a callee closed if only a service behind it fails', async () => {
    const front = await start(MallModule, {
      environment: { RABBITMQ_URL: caller.broker.url, LOG_LEVEL: 'error' },
    });
    try {
      await eventually(() => caller.ask(Enter, { hang: false }).then(() => true));
      await Promise.allSettled(Array.from({ length: 20 }, () => caller.ask(Enter, { hang: true })));
      expect(await readMetric('calls_circuit')).toBe(2);
      expect(await readMetric('calls_circuit', front, 'shop')).toBe(0);
      expect(await readMetric('calls_retried', front, 'shop')).toBe(0);
    } finally {
      await front.stop();
    }
  });

  it('are rejected at once only while the callee is at its concurrency limit', async () => {
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

describe('calls of a service without instances', () => {
  /** Its circuit stays closed for 500 attempts: only the budget limits retries. */
  const ghost = service('ghost', 'Never answers.', { failures: 0.99, calls: 1_000 });
  const phantom = service('phantom', 'Never answers, so that its circuit opens.');
  const shape = { input: z.strictObject({}), output: z.strictObject({}) };
  const [Haunt, Appear] = [ghost.query('haunt', shape), phantom.query('appear', shape)];

  @Service({ contract: service('house'), calls: [Haunt, Appear] })
  class HouseModule {}
  let house: ServiceUnderTest;
  beforeAll(async () => {
    house = await ServiceUnderTest.start(HouseModule, {});
  });
  afterAll(() => house.stop());

  /** Makes 400 calls. Returns the number of published requests, counting each one in a batch. */
  async function countPublishedRequests(question: typeof Haunt | typeof Appear): Promise<number> {
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

  it('are at most 1.1 times as many with retries', async () => {
    const sent = await countPublishedRequests(Haunt);
    expect(sent).toBeGreaterThan(420);
    // One more: the initial budget.
    expect(sent).toBeLessThanOrEqual(441);
  });

  it('are far fewer while the circuit is open', async () => {
    expect(await countPublishedRequests(Appear)).toBeLessThan(100);
  });
});
