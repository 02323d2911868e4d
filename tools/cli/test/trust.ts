import { randomUUID } from 'node:crypto';
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { exchanges } from '@jogakbo/messaging/topology';
import { connect, type ChannelModel, type ConfirmChannel } from 'amqplib';
import { brokerUser } from '../src/backing/rabbitmq/private-broker.ts';
import { openSecrets, openState } from '../src/supervisor/state.ts';
import { getBrokerUrl } from '../src/supervisor/store-access.ts';
import { until } from './jogakbo.ts';
import { type Store } from './store.ts';

export const trust = (store: Store) =>
  describe('trust between services', () => {
    let broker: ChannelModel;

    beforeAll(async () => {
      broker = await connect(getBrokerUrl(openState(store.home)));
    });
    afterAll(async () => {
      await store.run(['dead', 'discard', '--all', '--yes']);
      await broker?.close();
    });

    async function publish(exchange: string, name: string, data: unknown, userId?: string): Promise<void> {
      const channel = await broker.createConfirmChannel();
      const body = Buffer.from(JSON.stringify({ pattern: name, data }));
      const options = { messageId: randomUUID(), contentType: 'application/json', ...(userId && { userId }) };
      channel.publish(exchange, name, body, options);
      await channel.waitForConfirms();
      await channel.close();
    }

    const causes = async (): Promise<string[]> => {
      const { output } = await store.run(['dead', 'list', '--json', 'inventory']);
      return (JSON.parse(output) as { groups: { cause: string }[] }).groups.map(({ cause }) => cause);
    };

    it('quarantines a message of nobody, and one of somebody else', async () => {
      const productId = await store.product(5);
      await publish(exchanges.requests('inventory'), 'inventory.receive-stock', {
        ...{ productId, quantity: 1_000 },
      });
      const removed = { productId, name: 'x', sku: 'x' };
      await publish(exchanges.events('catalog'), 'catalog.product-added', removed, brokerUser);
      await until(async () => (await causes()).length === 2);
      expect((await causes()).sort()).toEqual([
        'UnauthorizedSender: a login that is not known may not send it',
        'UnauthorizedSender: its first sender may not send it',
      ]);
      expect(await store.available(productId)).toBe(5);
      // Who sends it again does not vouch for it.
      expect((await store.run(['dead', 'replay', '--all', '--yes'])).code).toBe(0);
      await until(async () => (await causes()).length === 2);
      expect(await store.available(productId)).toBe(5);
      const { url } = store.findRecord('inventory')!;
      const metrics = await (await fetch(`${url}/metrics`)).text();
      expect(metrics).toMatch(/messages_of_strangers_total\{kind="event",[^}]*\} [1-9]/);
    });

    /** With the stolen login of a service. */
    async function as(service: string, work: (channel: ConfirmChannel) => Promise<unknown>): Promise<void> {
      const state = openState(store.home);
      const url = new URL(getBrokerUrl(state));
      url.username = service;
      url.password = openSecrets(state).brokerLogins[service]!;
      const model = await connect(url.href);
      const channel = await model.createConfirmChannel();
      await work(channel);
      await channel.waitForConfirms();
      await model.close();
    }

    it('keeps routes and keys with the services that were registered for them, whatever another announces', async () => {
      const keys = (await store.call('GET', '/.well-known/jwks.json')).text;
      const route = (name: string, method: string, path: string) => ({
        ...{ name, kind: 'query', description: '', input: {}, output: {}, rejections: {} },
        ...{ idempotency: 'none', access: 'public', http: { method, path, parameters: [], status: 200 } },
      });
      const announce = (contract: string, prefix: string, state = 'up', service = 'search') =>
        as('search', async (channel) => {
          const requests = [
            route(`${prefix}.keys`, 'GET', '/.well-known/jwks.json'),
            route(`${prefix}.sign-in`, 'POST', '/v1/sessions'),
            route(`${prefix}.new`, 'GET', '/v1/taken'),
          ];
          const data = {
            ...{ service, version: '9', instance: `${service}-evil`, state, url: 'http://127.0.0.1:9' },
            ...{ startedAt: new Date().toISOString(), interval: 60, madeQueues: [] },
            contract: { service: contract, description: '', requests, events: [] },
          };
          const body = Buffer.from(JSON.stringify({ pattern: 'instances.announced', data }));
          channel.publish(exchanges.events('instances'), 'instances.announced', body, {
            messageId: randomUUID(),
            userId: 'search',
          });
        });
      const refusedRoutes = async () => {
        const metrics = await (await fetch(`http://127.0.0.1:${store.port}/metrics`)).text();
        return Number(/^http_routes_refused\{[^}]*\} (\d+)$/m.exec(metrics)?.[1]);
      };
      await announce('identity@evil', 'identity@evil');
      await announce('identity', 'identity');
      expect(await refusedRoutes()).toBe(0);
      await announce('search', 'search');
      await until(async () => (await refusedRoutes()) === 3);
      expect((await store.call('GET', '/.well-known/jwks.json')).text).toBe(keys);
      expect((await store.call('GET', '/v1/taken')).status).toBe(404);
      await store.member();
      const document = await store.call('GET', '/openapi.json');
      expect(document.text).not.toContain('/v1/taken');
      await announce('identity', 'identity', 'up', 'identity');
      const token = store.staff('operator');
      await until(async () => {
        const { body } = await store.call('GET', '/v1/ops/instances', { token });
        return body.refusedSenders.some(({ sender }: { sender: string }) => sender === 'search');
      });
      const { body } = await store.call('GET', '/v1/ops/instances', { token });
      expect(body.refusedSenders).toEqual([
        { sender: 'search', about: 'identity', count: 1, lastAt: expect.any(String) },
      ]);
      const refusing = body.items.filter((one: object) => 'refusedRoutes' in one);
      expect(refusing).toMatchObject([
        {
          instance: 'search-evil',
          refusedRoutes: [
            { route: 'GET /.well-known/jwks.json', holder: 'identity.get-jwks' },
            { route: 'POST /v1/sessions', holder: 'identity.sign-in' },
            { route: 'GET /v1/taken' },
          ],
        },
      ]);
      expect((await store.run(['doctor'])).output).toContain('search-evil GET /v1/taken (not registered)');
      await announce('search', 'search', 'draining');
      await until(async () => (await refusedRoutes()) === 0);
    });

    it('runs no request for a service that may not send it, by whichever header and on whichever way', async () => {
      const { email, token } = await store.member();
      const { memberId } = (await store.call('GET', '/v1/members/me', { token })).body;
      const data = { memberId, roles: ['member', 'operator'] };
      const caller = JSON.stringify({
        memberId,
        roles: ['operator'],
        authTime: Math.floor(Date.now() / 1_000),
      });
      const death = {
        count: 1,
        exchange: 'requests.identity',
        queue: 'identity.commands@1',
        reason: 'expired',
      };
      const forged = { caller, 'x-death': [{ ...death, 'routing-keys': ['identity.change-roles'] }] };
      const body = Buffer.from(JSON.stringify({ pattern: 'identity.change-roles', data }));
      const options = (headers: object) => ({ messageId: randomUUID(), userId: 'config', headers });
      await as('config', async (channel) => {
        for (const headers of [forged, { caller, sender: 'gateway', failures: 1, mark: 'made up' }])
          channel.publish('requests.identity', 'identity.get-member-email', body, options(headers));
        // A queue of its own hands it on: the broker does not check whether config may use that key.
        const { queue } = await channel.assertQueue('hearing.config.0190-a', {
          ...{ exclusive: true, messageTtl: 0 },
          ...{ deadLetterExchange: 'requests.identity', deadLetterRoutingKey: 'identity.change-roles' },
        });
        await channel.bindQueue(queue, exchanges.events('instances'), 'instances.roll-call');
        channel.publish(exchanges.events('instances'), 'instances.roll-call', body, options({ caller }));
      });
      const refused = async (): Promise<{ cause: string; count: number }[]> => {
        const { output } = await store.run(['dead', 'list', '--json', 'identity']);
        return JSON.parse(output).groups;
      };
      await until(async () => (await refused()).length === 1);
      // The first two came into the queue of the queries, of which nothing is kept.
      const { url } = store.findRecord('identity')!;
      const metrics = await (await fetch(`${url}/metrics`)).text();
      expect(metrics).toMatch(/messages_of_strangers_total\{kind="command",[^}]*\} 3/);
      expect(new Set((await refused()).map(({ cause }) => cause))).toEqual(
        new Set(['UnauthorizedSender: config may not send it']),
      );
      expect((await store.call('GET', '/v1/members/me', { token })).body).toMatchObject({
        ...{ email, roles: ['member'] },
      });
      // An operator who replays them, or what that login put among the dead letters itself, changes nothing of it.
      await as('config', async (channel) =>
        channel.publish(exchanges.dead('config'), 'config.dead', body, {
          ...options({ caller, sender: 'gateway', queue: 'identity.commands', cause: 'bad luck' }),
        }),
      );
      await until(async () =>
        (await store.run(['dead', 'list', '--json', 'config'])).output.includes('bad luck'),
      );
      await store.run(['dead', 'replay', '--all', '--yes']);
      await until(async () => (await refused()).length === 1);
      expect((await store.call('GET', '/v1/members/me', { token })).body.roles).toEqual(['member']);

      // Nor does one who edits them: the data is the operator's word from then on, the sender is not.
      const pretended = randomUUID();
      await as('config', async (channel) =>
        channel.publish(exchanges.dead('config'), 'config.dead', body, {
          ...{ messageId: pretended, userId: 'config' },
          headers: { caller, sender: 'gateway', mark: 'AAAA', queue: 'config.commands', cause: 'worse luck' },
        }),
      );
      const group = async (service: string) =>
        JSON.parse((await store.run(['dead', 'list', '--json', service])).output).groups as {
          cause: string;
          ids: string[];
        }[];
      await until(async () => (await group('config')).some(({ cause }) => cause === 'worse luck'));
      const file = join(store.folder, 'edited.json');
      writeFileSync(file, JSON.stringify({ ...data, roles: ['operator'] }));
      const real = (await refused()) as unknown as { ids: string[] }[];
      for (const [service, id] of [
        ['identity', real[0]!.ids[0]!],
        ['config', pretended],
      ] as const) {
        const where = ['--service', service];
        expect((await store.run(['dead', 'edit', id, ...where, '--data', file])).code).toBe(0);
        expect((await store.run(['dead', 'replay', id, ...where, '--yes'])).code).toBe(0);
      }
      const cause = 'UnauthorizedSender: its first sender may not send it';
      await until(async () => (await group('config')).some((one) => one.cause === cause));
      await until(async () => (await refused()).length === 1);
      expect((await group('identity')).map((one) => one.cause)).toEqual([cause]);
      expect((await store.call('GET', '/v1/members/me', { token })).body.roles).toEqual(['member']);
    });

    it('keeps every secret in a file of its own user, off the screen, the logs and the list of processes', async () => {
      const secrets = openSecrets(openState(store.home));
      const said = [
        ...[secrets.broker, secrets.database],
        ...[...Object.values(secrets.services), ...Object.values(secrets.brokerLogins)],
        ...Object.values(secrets.serviceKeys),
      ];
      expect(new Set(said).size).toBe(said.length);
      expect(said.length).toBeGreaterThan(20);
      const open: string[] = [];
      for (const file of ['secrets.json', 'staff.json', 'config-key', 'config-clients.json'])
        if ((statSync(join(store.home, file)).mode & 0o077) !== 0) open.push(file);
      expect(open).toEqual([]);

      const seen: Record<string, string> = { screen: store.screen };
      for (const file of readdirSync(join(store.home, 'logs')))
        seen[file] = readFileSync(join(store.home, 'logs', file), 'utf8');
      for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
        try {
          seen[`process ${pid}`] = readFileSync(`/proc/${pid}/cmdline`, 'utf8');
        } catch {
          // it has ended
        }
      }
      seen.ps = (await store.run(['ps', '--json'])).output;
      const told = Object.entries(seen).filter(([, text]) => said.some((secret) => text.includes(secret)));
      expect(told.map(([where]) => where)).toEqual([]);
      expect(Object.keys(seen).length).toBeGreaterThan(20);
    });
  });
