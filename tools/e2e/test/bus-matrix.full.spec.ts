import { randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Grants, type BusDescription } from '@jogakbo/messaging/grants';
import { readGrants } from '@jogakbo/messaging/grants-stream';
import { assertService, defaultRetryDelays, queues } from '@jogakbo/messaging/topology';
import { connect, type ChannelModel } from 'amqplib';
import { type BackingService } from '@jogakbo/cli/src/backing/backing-service.ts';
import {
  runDeployStep,
  loginLimits,
  memoryQueueBytes,
} from '@jogakbo/cli/src/backing/rabbitmq/deploy-step.ts';
import { build } from '@jogakbo/cli/src/supervisor/build.ts';
import { claimPorts } from '@jogakbo/cli/src/supervisor/ports.ts';
import { findInstalledBroker, startPrivateBroker } from '@jogakbo/cli/src/backing/rabbitmq/private-broker.ts';
import { generatePassword } from '@jogakbo/cli/src/supervisor/state.ts';
import { listApps } from '@jogakbo/cli/src/workspace.ts';
import { announcements } from './bus-matrix/announcements.ts';
import { AsLogin } from './bus-matrix/as-login.ts';
import { gateway, readPermissions } from './bus-matrix/declared-permissions.ts';
import { foreignExchanges } from './bus-matrix/foreign-exchanges.ts';
import { givenBroker } from './bus-matrix/given-broker.ts';
import { operations } from './bus-matrix/operations.ts';
import { sharedTopology } from './bus-matrix/shared-topology.ts';

const server = findInstalledBroker();
const apps = listApps();
const names = apps.map(({ name }) => name);

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

  const { listRequests, canCall } = readPermissions(() => bus);

  operations({
    ...{ names, bus: () => bus, url: (name) => addresses[name]! },
    login: (name) => logins.get(name)!,
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

  givenBroker({ apps, secrets, broker: () => broker, login: (name) => logins.get(name)! });
});
