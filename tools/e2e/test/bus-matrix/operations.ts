import { afterAll, expect, it } from '@jest/globals';
import { type BusDescription } from '@jogakbo/messaging/grants';
import { exchanges, grantsStream, queues } from '@jogakbo/messaging/topology';
import { connect } from 'amqplib';
import { type AsLogin, type Verdict } from './as-login.ts';
import { platformEvents, readPermissions } from './declared-permissions.ts';

interface OperationsOptions {
  names: readonly string[];
  bus: () => BusDescription[];
  login: (name: string) => AsLogin;
  /** The address of the broker with this login. */
  url: (name: string) => string;
}

/** Tries every operation with every login. */
export function operations({ names, bus, login: getLogin, url: getUrl }: OperationsOptions): void {
  const { getDescription, listRequests, listEvents, canCall, canSubscribe } = readPermissions(bus);
  const verdicts = { allowed: 0, refused: 0 };
  /** Guards against a matrix that tried nothing, or allowed nothing. */
  afterAll(() => expect(Math.min(verdicts.allowed, verdicts.refused)).toBeGreaterThan(300));

  /** Collects operations of a login with an unexpected verdict. */
  function startAttempts(service: string) {
    const login = getLogin(service);
    const wrong: string[] = [];
    const attempt = async (what: string, isAllowed: boolean, operation: Promise<Verdict>): Promise<void> => {
      const verdict = await operation;
      verdicts[verdict] += 1;
      if ((verdict === 'allowed') !== isAllowed) wrong.push(`${service} ${what}: ${verdict}`);
    };
    return { login, wrong, attempt };
  }

  it.each(names)('%s publishes only what it declares, with its own user id', async (service) => {
    const { login, wrong, attempt } = startAttempts(service);
    for (const one of listRequests())
      await attempt(
        `sends ${one.name}`,
        canCall(service, one),
        login.publish(exchanges.requests(one.name), one.name),
      );
    for (const { name, owner } of listEvents()) {
      const isAllowed =
        owner === service ||
        platformEvents.includes(name) ||
        getDescription(service).publishes.includes(name);
      await attempt(`publishes ${name}`, isAllowed, login.publish(exchanges.events(name), name));
    }
    for (const other of [...names, 'jogakbo'])
      await attempt(
        `publishes as ${other}`,
        other === service,
        login.publish(exchanges.events(platformEvents[0]!), platformEvents[0]!, other),
      );
    expect(wrong).toEqual([]);
  });

  it.each(names)('%s replies only to services that may call it', async (service) => {
    const { login, wrong, attempt } = startAttempts(service);
    for (const other of names) {
      const isCalled = listRequests().some((one) => one.owner === service && canCall(other, one));
      const key = queues.reply(other, '0190-a');
      await attempt(
        `replies to ${other}`,
        other === service || isCalled,
        login.publish(exchanges.replies(other), key),
      );
    }
    expect(wrong).toEqual([]);
  });

  it.each(names)('%s binds only its own requests and subscribed events', async (service) => {
    const { login, wrong, attempt } = startAttempts(service);
    const queue = queues.listener(service, '0190-b');
    await login.try((channel) => channel.assertQueue(queue, { exclusive: true, autoDelete: true }));
    const bind = (exchange: string, key: string, isAllowed: boolean) =>
      attempt(
        `binds ${key} of ${exchange}`,
        isAllowed,
        login.try((channel) => channel.bindQueue(queue, exchange, key)),
      );
    for (const { name, owner } of listRequests())
      await bind(exchanges.requests(name), name, owner === service);
    for (const { name, owner } of listEvents())
      await bind(exchanges.events(name), name, canSubscribe(service, name, owner));
    for (const exchange of Object.values(exchanges))
      for (const key of ['#', '*.*', '#.#', `${service}.#`, 'orders.*'])
        await bind(exchange(service), key, false);
    for (const other of names) {
      const isOwn = other === service;
      await bind(exchanges.replies(other), queues.reply(other, '0190-c'), isOwn);
      await bind(exchanges.dead(other), queues.commands(other), isOwn);
      await bind(exchanges.retry(other), `500.${other}.commands`, false);
      await attempt(
        `binds to the queue of ${other}`,
        isOwn,
        login.try((channel) =>
          channel.bindQueue(queues.events(other), exchanges.events(platformEvents[0]!), platformEvents[0]!),
        ),
      );
    }
    expect(wrong).toEqual([]);
  });

  it.each(names)('%s consumes from its own queues only, and not from the dead letters', async (service) => {
    const { login, wrong, attempt } = startAttempts(service);
    for (const other of names) {
      for (const kind of ['commands', 'queries', 'events', 'dead'] as const) {
        const queue = queues[kind](other);
        const isAllowed = other === service && kind !== 'dead';
        const consume = login.try(async (channel) => {
          const { consumerTag } = await channel.consume(queue, () => undefined);
          await channel.cancel(consumerTag);
        });
        await attempt(`consumes ${queue}`, isAllowed, consume);
        await attempt(
          `gets from ${queue}`,
          isAllowed,
          login.try((channel) => channel.get(queue, { noAck: true })),
        );
        await attempt(
          `purges ${queue}`,
          isAllowed,
          login.try((channel) => channel.purgeQueue(queue)),
        );
      }
    }
    expect(wrong).toEqual([]);
  });

  it.each(names)('%s declares and deletes its own queues only, and no exchange', async (service) => {
    const { login, wrong, attempt } = startAttempts(service);
    const declare = (queue: string, isAllowed: boolean) =>
      attempt(
        `declares ${queue}`,
        isAllowed,
        login.try((channel) => channel.assertQueue(queue)),
      );
    const remove = (queue: string, isAllowed: boolean) =>
      attempt(
        `deletes ${queue}`,
        isAllowed,
        login.try((channel) => channel.deleteQueue(queue)),
      );
    for (const other of names) {
      const ofVersion = `${queues.queries(other)}@9.9.9`;
      await declare(ofVersion, other === service);
      await remove(ofVersion, other === service);
      if (other !== service) await remove(queues.events(other), false);
      await declare(queues.retry(other, 500), false);
      await remove(queues.retry(other, 500), false);
    }
    await declare('anything', false);
    for (const exchange of Object.values(exchanges).map((one) => one(service))) {
      await attempt(
        `declares ${exchange}`,
        false,
        login.try((channel) => channel.assertExchange(exchange, 'topic')),
      );
      await attempt(
        `deletes ${exchange}`,
        false,
        login.try((channel) => channel.deleteExchange(exchange)),
      );
    }
    expect(wrong).toEqual([]);
  });

  it.each(names)(
    '%s publishes only its own retries and dead letters, in its own exchanges',
    async (service) => {
      const { login, wrong, attempt } = startAttempts(service);
      const publish = (exchange: string, key: string, isAllowed: boolean) =>
        attempt(`publishes ${key} into "${exchange}"`, isAllowed, login.publish(exchange, key));
      for (const other of names) {
        const isOwn = other === service;
        await publish(exchanges.retry(other), `500.${other}.commands`, isOwn);
        await publish(exchanges.retry(other), `500.${other}.events`, isOwn);
        await publish(exchanges.dead(other), queues.dead(other), isOwn);
        await publish(exchanges.dead(other), queues.commands(other), false);
        for (const bypass of ['', 'amq.direct', 'amq.topic', 'amq.fanout'])
          await publish(bypass, queues.commands(other), false);
      }
      expect(wrong).toEqual([]);
    },
  );

  it.each(names)('%s reads the grants, and cannot change them', async (service) => {
    const { login, wrong, attempt } = startAttempts(service);
    const consume = login.try(async (channel) => {
      await channel.prefetch(1);
      const options = { arguments: { 'x-stream-offset': 'last' } };
      const { consumerTag } = await channel.consume(grantsStream, () => undefined, options);
      await channel.cancel(consumerTag);
    });
    await attempt('reads the grants', true, consume);
    await attempt('publishes grants', false, login.publish('', grantsStream));
    await attempt('publishes grants as the operator', false, login.publish('', grantsStream, 'jogakbo'));
    for (const [what, operation] of [
      [
        'binds the stream',
        (channel) =>
          channel.bindQueue(grantsStream, exchanges.events(platformEvents[0]!), platformEvents[0]!),
      ],
      ['deletes the stream', (channel) => channel.deleteQueue(grantsStream)],
      ['declares the stream', (channel) => channel.assertQueue(grantsStream)],
    ] as [string, Parameters<AsLogin['try']>[0]][])
      await attempt(what, false, login.try(operation));
    // A purge needs read permission only, but a stream does not support it: the broker closes the connection.
    const model = await connect(getUrl(service));
    const lost = new Promise<Error>((resolve) => model.on('error', resolve));
    const channel = await model.createChannel();
    channel.on('error', () => undefined);
    channel.purgeQueue(grantsStream).catch(() => undefined);
    expect((await lost).message).toMatch(/NOT.IMPLEMENTED/);
    expect(wrong).toEqual([]);
  });
}
