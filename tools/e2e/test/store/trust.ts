import { randomUUID } from 'node:crypto';
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { exchanges } from '@jogakbo/messaging/topology';
import { connect, type ChannelModel, type ConfirmChannel } from 'amqplib';
import { administratorLogin } from '@jogakbo/cli/src/backing/backing-service.ts';
import { ensureSecrets, openState } from '@jogakbo/cli/src/supervisor/state.ts';
import { getBrokerUrl } from '@jogakbo/cli/src/supervisor/store-access.ts';
import { until } from '../../src/jogakbo.ts';
import { type Store } from '../../src/store.ts';

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

    const readCauses = async (): Promise<string[]> => {
      const { output } = await store.run(['dead', 'list', '--json', 'inventory']);
      return (JSON.parse(output) as { groups: { cause: string }[] }).groups.map(({ cause }) => cause);
    };

    it('moves a message without a sender, and one of another sender, to the dead letters', async () => {
      const productId = await store.createProduct(5);
      await publish(exchanges.requests('inventory'), 'inventory.receive-stock', {
        ...{ productId, quantity: 1_000 },
      });
      const removed = { productId, name: 'x', sku: 'x' };
      await publish(exchanges.events('catalog'), 'catalog.product-added', removed, administratorLogin);
      await until(async () => (await readCauses()).length === 2);
      expect((await readCauses()).sort()).toEqual([
        'UnauthorizedSender: a login that is not known may not send it',
        'UnauthorizedSender: its first sender may not send it',
      ]);
      expect(await store.readAvailable(productId)).toBe(5);
      // A replay does not authorize the original sender.
      expect((await store.run(['dead', 'replay', '--all', '--yes'])).code).toBe(0);
      await until(async () => (await readCauses()).length === 2);
      expect(await store.readAvailable(productId)).toBe(5);
      const { url } = store.findRecord('inventory')!;
      const metrics = await (await fetch(`${url}/metrics`)).text();
      expect(metrics).toMatch(/unauthorized_messages_total\{kind="event",[^}]*\} [1-9]/);
    });

    /** Uses the login of a service, as an attacker would. */
    async function withLogin(
      service: string,
      work: (channel: ConfirmChannel) => Promise<unknown>,
    ): Promise<void> {
      const state = openState(store.home);
      const url = new URL(getBrokerUrl(state));
      url.username = service;
      url.password = ensureSecrets(state).brokerPasswords[service]!;
      const model = await connect(url.href);
      const channel = await model.createConfirmChannel();
      await work(channel);
      await channel.waitForConfirms();
      await model.close();
    }

    it('ignores announcements of routes and keys that are registered for another service', async () => {
      const keys = (await store.call('GET', '/.well-known/jwks.json')).text;
      const route = (name: string, method: string, path: string) => ({
        ...{ name, kind: 'query', description: '', input: {}, output: {}, rejections: {} },
        ...{ idempotency: 'none', access: 'public', http: { method, path, parameters: [], status: 200 } },
      });
      const announce = (contract: string, prefix: string, state = 'up', service = 'search') =>
        withLogin('search', async (channel) => {
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
      const countRejectedRoutes = async () => {
        const metrics = await (await fetch(`http://127.0.0.1:${store.port}/metrics`)).text();
        return Number(/^http_routes_refused\{[^}]*\} (\d+)$/m.exec(metrics)?.[1]);
      };
      await announce('identity@evil', 'identity@evil');
      await announce('identity', 'identity');
      expect(await countRejectedRoutes()).toBe(0);
      await announce('search', 'search');
      await until(async () => (await countRejectedRoutes()) === 3);
      expect((await store.call('GET', '/.well-known/jwks.json')).text).toBe(keys);
      expect((await store.call('GET', '/v1/taken')).status).toBe(404);
      await store.createMember();
      const document = await store.call('GET', '/openapi.json');
      expect(document.text).not.toContain('/v1/taken');
      await announce('identity', 'identity', 'up', 'identity');
      const token = store.getToken('operator');
      await until(async () => {
        const { body } = await store.call('GET', '/v1/ops/instances', { token });
        return body.refusedSenders.some(({ sender }: { sender: string }) => sender === 'search');
      });
      const { body } = await store.call('GET', '/v1/ops/instances', { token });
      expect(body.refusedSenders).toEqual([
        { sender: 'search', about: 'identity', count: 1, lastAt: expect.any(String) },
      ]);
      const withRejections = body.items.filter((one: object) => 'refusedRoutes' in one);
      expect(withRejections).toMatchObject([
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
      await until(async () => (await countRejectedRoutes()) === 0);
    });

    it('handles no request of a service without the permission, with any header and on any path', async () => {
      const { email, token } = await store.createMember();
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
      await withLogin('config', async (channel) => {
        for (const headers of [forged, { caller, sender: 'gateway', failures: 1, mark: 'made up' }])
          channel.publish('requests.identity', 'identity.get-member-email', body, options(headers));
        // A dead-letter exchange forwards it: the broker does not check whether config may use that key.
        const { queue } = await channel.assertQueue('hearing.config.0190-a', {
          ...{ exclusive: true, messageTtl: 0 },
          ...{ deadLetterExchange: 'requests.identity', deadLetterRoutingKey: 'identity.change-roles' },
        });
        await channel.bindQueue(queue, exchanges.events('instances'), 'instances.roll-call');
        channel.publish(exchanges.events('instances'), 'instances.roll-call', body, options({ caller }));
      });
      const readRejected = async (): Promise<{ cause: string; count: number }[]> => {
        const { output } = await store.run(['dead', 'list', '--json', 'identity']);
        return JSON.parse(output).groups;
      };
      await until(async () => (await readRejected()).length === 1);
      // The first two went to the queue of the queries, which are not kept as dead letters.
      const { url } = store.findRecord('identity')!;
      const metrics = await (await fetch(`${url}/metrics`)).text();
      expect(metrics).toMatch(/unauthorized_messages_total\{kind="command",[^}]*\} 3/);
      expect(new Set((await readRejected()).map(({ cause }) => cause))).toEqual(
        new Set(['UnauthorizedSender: config may not send it']),
      );
      expect((await store.call('GET', '/v1/members/me', { token })).body).toMatchObject({
        ...{ email, roles: ['member'] },
      });
      // A replay by an operator has no effect, even of messages that the login itself published as dead letters.
      await withLogin('config', async (channel) =>
        channel.publish(exchanges.dead('config'), 'config.dead', body, {
          ...options({ caller, sender: 'gateway', queue: 'identity.commands', cause: 'bad luck' }),
        }),
      );
      await until(async () =>
        (await store.run(['dead', 'list', '--json', 'config'])).output.includes('bad luck'),
      );
      await store.run(['dead', 'replay', '--all', '--yes']);
      await until(async () => (await readRejected()).length === 1);
      expect((await store.call('GET', '/v1/members/me', { token })).body.roles).toEqual(['member']);

      // An edit by an operator replaces the data, but not the sender.
      const forgedId = randomUUID();
      await withLogin('config', async (channel) =>
        channel.publish(exchanges.dead('config'), 'config.dead', body, {
          ...{ messageId: forgedId, userId: 'config' },
          headers: { caller, sender: 'gateway', mark: 'AAAA', queue: 'config.commands', cause: 'worse luck' },
        }),
      );
      const readGroups = async (service: string) =>
        JSON.parse((await store.run(['dead', 'list', '--json', service])).output).groups as {
          cause: string;
          ids: string[];
        }[];
      await until(async () => (await readGroups('config')).some(({ cause }) => cause === 'worse luck'));
      const file = join(store.folder, 'edited.json');
      writeFileSync(file, JSON.stringify({ ...data, roles: ['operator'] }));
      const rejected = (await readRejected()) as unknown as { ids: string[] }[];
      for (const [service, id] of [
        ['identity', rejected[0]!.ids[0]!],
        ['config', forgedId],
      ] as const) {
        const where = ['--service', service];
        expect((await store.run(['dead', 'edit', id, ...where, '--data', file])).code).toBe(0);
        expect((await store.run(['dead', 'replay', id, ...where, '--yes'])).code).toBe(0);
      }
      const cause = 'UnauthorizedSender: its first sender may not send it';
      await until(async () => (await readGroups('config')).some((one) => one.cause === cause));
      await until(async () => (await readRejected()).length === 1);
      expect((await readGroups('identity')).map((one) => one.cause)).toEqual([cause]);
      expect((await store.call('GET', '/v1/members/me', { token })).body.roles).toEqual(['member']);
    });

    it('keeps every secret in files of its user only, and out of output, logs and the process list', async () => {
      const secrets = ensureSecrets(openState(store.home));
      const values = [
        ...[secrets.brokerAdministrator, secrets.databaseAdministrator],
        ...[...Object.values(secrets.databasePasswords), ...Object.values(secrets.brokerPasswords)],
        ...Object.values(secrets.serviceKeys),
      ];
      expect(new Set(values).size).toBe(values.length);
      expect(values.length).toBeGreaterThan(20);
      const readable: string[] = [];
      for (const file of ['secrets.json', 'staff.json', 'config-key', 'config-clients.json'])
        if ((statSync(join(store.home, file)).mode & 0o077) !== 0) readable.push(file);
      expect(readable).toEqual([]);

      const visible: Record<string, string> = { screen: store.screen };
      for (const file of readdirSync(join(store.home, 'logs')))
        visible[file] = readFileSync(join(store.home, 'logs', file), 'utf8');
      for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
        try {
          visible[`process ${pid}`] = readFileSync(`/proc/${pid}/cmdline`, 'utf8');
        } catch {
          // The process has ended.
        }
      }
      visible.ps = (await store.run(['ps', '--json'])).output;
      const leaks = Object.entries(visible).filter(([, text]) =>
        values.some((secret) => text.includes(secret)),
      );
      expect(leaks.map(([where]) => where)).toEqual([]);
      expect(Object.keys(visible).length).toBeGreaterThan(20);
    });
  });
