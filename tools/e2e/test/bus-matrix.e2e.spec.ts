import { randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Grants, type BusDescription } from '@jogakbo/messaging/grants';
import { readGrants } from '@jogakbo/messaging/grants-stream';
import {
  assertService,
  defaultRetryDelays,
  exchanges,
  grantsStream,
  queues,
} from '@jogakbo/messaging/topology';
import { connect, type ChannelModel } from 'amqplib';
import { type BackingService } from '@jogakbo/cli/src/backing/backing-service.ts';
import {
  runDeployStep,
  loginLimits,
  memoryQueueBytes,
} from '@jogakbo/cli/src/backing/rabbitmq/deploy-step.ts';
import { findManagement } from '@jogakbo/cli/src/backing/rabbitmq/broker-management.ts';
import { build } from '@jogakbo/cli/src/supervisor/build.ts';
import { claimPorts } from '@jogakbo/cli/src/supervisor/ports.ts';
import { findInstalledBroker, startPrivateBroker } from '@jogakbo/cli/src/backing/rabbitmq/private-broker.ts';
import { generatePassword } from '@jogakbo/cli/src/supervisor/state.ts';
import { listApps } from '@jogakbo/cli/src/workspace.ts';
import { announcements } from './bus-matrix/announcements.ts';
import { AsLogin, type Verdict } from './bus-matrix/as-login.ts';
import { foreignExchanges } from './bus-matrix/foreign-exchanges.ts';
import { sharedTopology } from './bus-matrix/shared-topology.ts';

const server = findInstalledBroker();
const apps = listApps();
const names = apps.map(({ name }) => name);
const platformEvents = ['instances.announced', 'instances.beat', 'instances.roll-call'];
const gateway = 'gateway';

/** Tries every operation with every login, at a broker with the permissions of the real deploy step. */
(server ? describe : describe.skip)('what each login may do on the bus', () => {
  const folder = mkdtempSync(join(tmpdir(), 'jogakbo-matrix-'));
  let broker: BackingService;
  let bus: BusDescription[];
  const logins = new Map<string, AsLogin>();
  let addresses: Record<string, string> = {};
  const secrets = {
    brokerPasswords: Object.fromEntries(names.map((name) => [name, generatePassword()])),
    brokerAdministrator: 'of the operator',
  };

  beforeAll(async () => {
    const log = () => undefined;
    await build(undefined, log, new AbortController().signal);
    bus = apps.map((app) => JSON.parse(readFileSync(join(app.folder, 'dist', 'bus.json'), 'utf8')));
    broker = await startPrivateBroker(server!, {
      ...{ folder: join(folder, 'rabbitmq'), logs: join(folder, 'logs'), throwaway: true },
      ...{ name: `jogakbo-matrix-${randomBytes(4).toString('hex')}`, password: generatePassword() },
      ports: await claimPorts(['amqp', 'management', 'distribution', 'epmd']),
    });
    const { urls } = await runDeployStep(broker, apps, secrets, 'test');
    addresses = urls;
    const model = await connect(broker.url);
    const channel = await model.createChannel();
    for (const name of names) {
      const keys = { commands: [`${name}.x`], queries: [`${name}.x`], events: [`${name}.x`] };
      await assertService(channel, name, keys, { retryDelays: defaultRetryDelays, isPredeclared: false });
    }
    await model.close();
    for (const name of names) logins.set(name, await AsLogin.open(urls[name]!));
  }, 240_000);
  afterAll(async () => {
    await Promise.all([...logins.values()].map((login) => login.close()));
    await broker?.stop();
    rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
  });

  it('has a random Erlang cookie that only its user can read', () => {
    const cookie = join(folder, 'rabbitmq', '.erlang.cookie');
    expect(readFileSync(cookie, 'utf8')).toMatch(/^[\w-]{43}$/);
    expect(statSync(cookie)).toMatchObject({ mode: 0o100400, uid: process.getuid!() });
  });

  it('limits the connections and channels of a login', async () => {
    const [name] = names as [string];
    const models: ChannelModel[] = [];
    const open = async () => {
      const model = await connect(addresses[name]!);
      model.on('error', () => undefined);
      models.push(model);
      return model;
    };
    const opening = (async () => {
      for (let more = 0; more <= loginLimits['max-connections']; more++) await open();
    })();
    await expect(opening).rejects.toThrow(/ConnectionClose/);
    expect(models.length).toBeGreaterThan(8);
    let lost: Error | undefined;
    models[0]!.on('error', (error: Error) => (lost = error));
    // One after the other: the broker counts channels with a delay.
    for (let opened = 0; opened <= loginLimits['max-channels'] + 50 && !lost; opened++)
      await models[0]!.createChannel().then(
        (channel) => channel.on('error', () => undefined),
        () => undefined,
      );
    await Promise.all(models.map((model) => model.close().catch(() => undefined)));
    expect(lost?.message).toMatch(/NOT.ALLOWED|limit/);
  });

  it('limits the size of an unread queue and of a message', async () => {
    const model = await connect(broker.url);
    const channel = await model.createConfirmChannel();
    const { queue } = await channel.assertQueue(queues.listener(names[0]!, 'unread'), { exclusive: true });
    const body = Buffer.alloc(1_048_576);
    const maxMessages = memoryQueueBytes / body.length;
    for (let sent = 0; sent < maxMessages + 4; sent++) channel.sendToQueue(queue, body);
    await channel.waitForConfirms();
    expect((await channel.checkQueue(queue)).messageCount).toBe(maxMessages);
    const refused = new Promise<Error>((resolve) => channel.on('error', resolve));
    channel.sendToQueue(queue, Buffer.alloc(17 * body.length));
    expect((await refused).message).toMatch(/larger than/);
    await model.close();
  });

  const getDescription = (service: string) => bus.find((one) => one.service === service)!;
  const listRequests = () =>
    bus.flatMap(({ service, contracts }) =>
      contracts.filter(({ kind }) => kind !== 'event').map((one) => ({ ...one, owner: service })),
    );
  const listEvents = () => [
    ...bus.flatMap(({ service, contracts }) =>
      contracts.filter(({ kind }) => kind === 'event').map(({ name }) => ({ name, owner: service })),
    ),
    ...[...platformEvents, 'settings.told'].map((name) => ({ name, owner: 'platform' })),
  ];
  const listCalled = () => listRequests().flatMap(({ offered }) => offered?.asks ?? []);
  const listAwaited = () => listRequests().flatMap(({ offered }) => offered?.subscribesTo ?? []);
  const canCall = (service: string, { name, owner, offered }: ReturnType<typeof listRequests>[number]) =>
    owner === service ||
    getDescription(service).calls.includes(name) ||
    (service === gateway && (offered !== undefined || listCalled().includes(name)));
  const canSubscribe = (service: string, name: string, owner: string) =>
    owner === service ||
    platformEvents.includes(name) ||
    getDescription(service).subscribesTo.includes(name) ||
    (service === gateway && listAwaited().includes(name));

  const verdicts = { allowed: 0, refused: 0 };
  /** Guards against a matrix that tried nothing, or allowed nothing. */
  afterAll(() => expect(Math.min(verdicts.allowed, verdicts.refused)).toBeGreaterThan(300));

  /** Collects operations of a login with an unexpected verdict. */
  function startAttempts(service: string) {
    const login = logins.get(service)!;
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
    const model = await connect(addresses[service]!);
    const lost = new Promise<Error>((resolve) => model.on('error', resolve));
    const channel = await model.createChannel();
    channel.on('error', () => undefined);
    channel.purgeQueue(grantsStream).catch(() => undefined);
    expect((await lost).message).toMatch(/NOT.IMPLEMENTED/);
    expect(wrong).toEqual([]);
  });

  it('publishes grants at the deploy step that match the permissions at the broker', async () => {
    const model = await connect(broker.url);
    const grants = new Grants(await readGrants(await model.createChannel(), 'jogakbo'));
    await model.close();
    const wrong: string[] = [];
    for (const service of [...names, 'unknown']) {
      for (const one of listRequests()) {
        if (one.owner === service) continue;
        const isAllowed = names.includes(service) && canCall(service, one);
        if (grants.mayCall(service, one.name) !== isAllowed) wrong.push(`${service} calls ${one.name}`);
      }
      if (grants.isGateway(service) !== (service === gateway)) wrong.push(`${service} is a gateway`);
      if (grants.isService(service) !== names.includes(service)) wrong.push(`${service} is a service`);
    }
    expect(wrong).toEqual([]);
    expect(grants.routes.size).toBeGreaterThan(30);
    const declared = listRequests().flatMap(({ owner, name, offered }) =>
      (offered?.routes ?? []).map((route) => [route, owner, name]),
    );
    expect(
      [...grants.routes].map(([route, { service, request }]) => [route, service, request]).sort(),
    ).toEqual(declared.sort());
  });

  foreignExchanges({
    ...{ names, bus: () => bus, operatorUrl: () => broker.url },
    login: (name) => logins.get(name)!,
  });

  sharedTopology({ apps, secrets, broker: () => broker });

  announcements({ names, url: (name) => addresses[name]!, login: (name) => logins.get(name)! });

  it('treats a login that is not a service as such, with all permissions or with none', async () => {
    const management = (await findManagement(broker, '')).management!;
    const { vhost } = management;
    for (const all of ['^$', '.*']) {
      const name = `foreign${all.length}`;
      const users = [{ name, password: 'not a service', tags: '' }];
      const permissions = [{ user: name, vhost, configure: all, write: all, read: all }];
      await management.define({ users, permissions });
      const url = Object.assign(new URL(broker.url), { username: name, password: 'not a service' }).href;
      const login = await AsLogin.open(url);
      for (const other of [...names, 'jogakbo'])
        expect(await login.publish(exchanges.events(platformEvents[0]!), platformEvents[0]!, other)).toBe(
          'refused',
        );
      for (const exchange of [...Object.values(exchanges).map((one) => one('orders')), '', 'amq.topic'])
        expect(await login.publish(exchange, 'anything')).toBe(all === '.*' ? 'allowed' : 'refused');
      await login.close();
    }
  });

  describe('a given broker', () => {
    const given = (managementUrl = broker.managementUrl) => ({
      kind: 'external',
      url: broker.url,
      managementUrl,
    });

    it('gives all services one login, and reports it, if its management API is unreachable', async () => {
      const { urls, brokerOperator, remark } = await runDeployStep(
        given('http://127.0.0.1:1'),
        apps,
        secrets,
        'test',
      );
      expect(new Set(Object.values(urls))).toEqual(new Set([broker.url]));
      expect(brokerOperator).toBeUndefined();
      expect(remark).toMatch(/^All services share .* RABBITMQ_MANAGEMENT_URL names another address\.$/);
      expect(remark).not.toContain(new URL(broker.url).password);
    });

    it('does not change the logins of another store', async () => {
      const { brokerOperator, remark } = await runDeployStep(given(), apps, secrets, 'another store');
      expect(brokerOperator).toBeUndefined();
      expect(remark).toContain('not of this store');
      expect(
        await logins.get('orders')!.publish(exchanges.events(platformEvents[0]!), platformEvents[0]!),
      ).toBe('allowed');
    });

    it('is prepared like a private broker if possible', async () => {
      const { urls, brokerOperator } = await runDeployStep(given(), apps, secrets, 'test');
      expect(brokerOperator).toBe(decodeURIComponent(new URL(broker.url).username));
      const orders = await AsLogin.open(urls.orders!);
      expect(await orders.publish(exchanges.events('catalog'), 'catalog.product-added')).toBe('refused');
      await orders.close();
    });
  });
});
