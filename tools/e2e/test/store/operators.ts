import { randomUUID } from 'node:crypto';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { toConnectOptions } from '@jogakbo/messaging/address';
import { exchanges } from '@jogakbo/messaging/topology';
import { connect, type ChannelModel } from 'amqplib';
import pg from 'pg';
import { type DeadLetter } from '@jogakbo/cli/src/dead-letters/dead-letter.ts';
import { withDeadQueues } from '@jogakbo/cli/src/dead-letters/dead-queue.ts';
import { administratorLogin } from '@jogakbo/cli/src/backing/backing-service.ts';
import { openState } from '@jogakbo/cli/src/supervisor/state.ts';
import { getBrokerUrl, getDatabaseUrl } from '@jogakbo/cli/src/supervisor/store-access.ts';
import type { TelemetryCollector } from '@jogakbo/testing/telemetry-collector';
import { until } from '../../src/jogakbo.ts';
import { type Store } from '../../src/store.ts';

interface Groups {
  total: number;
  groups: { group: string; service: string; type: string; cause: string; count: number; ids: string[] }[];
}

export const operators = (store: Store, collector: TelemetryCollector) =>
  describe('an operator', () => {
    let broker: ChannelModel;
    let inventory: pg.Client;

    beforeAll(async () => {
      const state = openState(store.home);
      broker = await connect(getBrokerUrl(state), toConnectOptions(getBrokerUrl(state)));
      inventory = new pg.Client({ connectionString: getDatabaseUrl(state, 'inventory') });
      await inventory.connect();
    });
    afterAll(async () => {
      await broker?.close();
      await inventory?.end();
    });

    const listGroups = async (...args: string[]): Promise<Groups> => {
      const { code, output } = await store.run(['dead', 'list', '--json', ...args]);
      if (code !== 0) throw new Error(output);
      return JSON.parse(output) as Groups;
    };
    /** Reads the dead letters without starting the command. */
    const readLetters = (): Promise<DeadLetter[]> =>
      withDeadQueues(getBrokerUrl(openState(store.home)), ['inventory'], async (queues) =>
        queues.flatMap((queue) => queue.letters),
      );
    const getIds = ({ groups }: Groups) => groups.flatMap((group) => group.ids);
    const readAuditLog = () =>
      readFileSync(join(store.home, 'audit.log'), 'utf8')
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line) as { time: string; user: string; what: string; ids?: string[] });

    /** Publishes a command without waiting for a reply. */
    async function send(name: string, data: unknown, id: string = randomUUID()): Promise<string> {
      await publish(exchanges.requests(name), name, JSON.stringify({ pattern: name, data }), id);
      return id;
    }

    async function publish(exchange: string, key: string, body: string, messageId: string): Promise<void> {
      const channel = await broker.createConfirmChannel();
      channel.publish(exchange, key, Buffer.from(body), {
        ...{ messageId, persistent: true, mandatory: true, contentType: 'application/json' },
        userId: administratorLogin,
        headers: { traceparent: `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`, language: 'ko' },
      });
      await channel.waitForConfirms();
      await channel.close();
    }

    /** Sends an invalid command: the quantity is a word. */
    const sendInvalid = (productId: string, id?: string) =>
      send('inventory.receive-stock', { productId, quantity: 'many' }, id);

    async function waitForDead(total: number): Promise<Groups> {
      await until(async () => (await readLetters()).length === total);
      return listGroups();
    }

    afterEach(async () => {
      await store.run(['dead', 'discard', '--all', '--yes']);
    });

    describe('dead letters', () => {
      it('are grouped by cause and type, and stay unchanged when read repeatedly', async () => {
        const productId = await store.createProduct(1);
        const wrong: string[] = [];
        for (let i = 0; i < 6; i++) wrong.push(await sendInvalid(productId));
        await send('inventory.receive-stock', { productId: randomUUID(), quantity: 1 });
        // Groups are listed by age.
        await waitForDead(7);
        await publish(exchanges.requests('inventory'), 'inventory.commit-stock', '{ not json', randomUUID());
        const first = await waitForDead(8);
        expect(first.groups.map(({ service, type, count }) => [service, type, count])).toEqual([
          ['inventory', 'inventory.receive-stock', 6],
          ['inventory', 'inventory.receive-stock', 1],
          ['inventory', '(unreadable)', 1],
        ]);
        expect(first.groups[0]!.ids).toEqual(wrong);
        expect(first.groups.map(({ cause }) => cause)).toEqual([
          expect.stringMatching(/^Rejection: .*does not fit/),
          expect.stringMatching(/^Rejection: .*no such product/),
          expect.stringMatching(/^SyntaxError/),
        ]);
        for (let i = 0; i < 25; i++) expect((await readLetters()).map(({ id }) => id)).toEqual(getIds(first));
        expect(await listGroups('inventory')).toEqual(first);
        const { output } = await store.run(['dead', 'list']);
        expect(output).toMatch(/group +service +count +oldest/);
        expect(output).toContain('no such product');
      });

      it('show their full details', async () => {
        const productId = await store.createProduct(1);
        const id = await sendInvalid(productId);
        await waitForDead(1);
        const { code, output } = await store.run(['dead', 'show', id.slice(0, 18)]);
        expect(code).toBe(0);
        for (const part of [id, 'inventory.commands', '"quantity": "many"', 'a'.repeat(32), 'stack:', 'at '])
          expect(output).toContain(part);
        const { output: json } = await store.run(['dead', 'show', id, '--json']);
        expect(JSON.parse(json)).toMatchObject({ id, failures: 1, data: { productId, quantity: 'many' } });
        expect(await store.run(['dead', 'show', 'unknown'])).toMatchObject({
          code: 1,
          output: expect.stringContaining('dead list'),
        });
      });

      it('are edited, replayed and then take effect once, even if the same message arrives again', async () => {
        const productId = await store.createProduct(1);
        const id = await sendInvalid(productId);
        await waitForDead(1);
        expect((await store.run(['dead', 'edit', id, '--data', '/nowhere'])).code).toBe(2);
        const file = join(store.folder, 'data.json');
        writeFileSync(file, '{ "quantity": ');
        const broken = await store.run(['dead', 'edit', id, '--data', file]);
        expect(broken).toMatchObject({ code: 1, output: expect.stringContaining('This is not JSON') });
        const editor = join(store.folder, 'editor.mjs');
        writeFileSync(
          editor,
          `import { readFileSync, writeFileSync } from 'node:fs';
       const path = process.argv[2];
       writeFileSync(path, readFileSync(path, 'utf8').replace('"many"', '41'));`,
        );
        const edited = await store.run(['dead', 'edit', id], { VISUAL: '', EDITOR: `node ${editor}` });
        expect(edited).toMatchObject({ code: 0, output: expect.stringContaining('dead replay') });
        const { output } = await store.run(['dead', 'show', id]);
        expect(output).toContain(`by ${userInfo().username}`);
        expect(await store.run(['dead', 'replay', id, '--yes'])).toMatchObject({ code: 0 });
        await until(async () => (await store.readAvailable(productId)) === 42);
        await waitForDead(0);
        // Both attempts are in the trace of the first sender.
        const listOutcomes = () =>
          collector
            .getTrace('a'.repeat(32))
            .filter(
              ({ kind, attributes }) => kind === 'consumer' && attributes['messaging.message.id'] === id,
            )
            .map(({ attributes }) => attributes['jogakbo.message.outcome']);
        await until(() => listOutcomes().length === 2);
        expect(listOutcomes()).toEqual(['rejection', 'ok']);

        // The same message again, as after a crash between its publisher confirm and the removal of the dead letter.
        const copy = JSON.stringify({
          pattern: 'inventory.receive-stock',
          data: { productId, quantity: 41 },
        });
        await publish(exchanges.dead('inventory'), 'inventory.dead', copy, id);
        await publish(exchanges.dead('inventory'), 'inventory.commands', copy, id);
        expect((await store.run(['dead', 'replay', id, '--yes'])).output).toContain('which queue');
        expect((await store.run(['dead', 'discard', id, '--yes'])).code).toBe(0);
        await send('inventory.receive-stock', { productId, quantity: 1 });
        await until(async () => (await store.readAvailable(productId)) === 43);
        expect(statSync(join(store.home, 'audit.log')).mode & 0o777).toBe(0o600);
        const mine = readAuditLog().filter((entry) => entry.ids?.includes(id));
        expect(mine.map(({ what }) => what)).toEqual(['edit', 'replay', 'replay', 'discard']);
        expect(mine.every(({ user, time }) => user === userInfo().username && Date.parse(time) > 0)).toBe(
          true,
        );
      });

      it('of a group are replayed or discarded, but not without confirmation', async () => {
        const productId = await store.createProduct(1);
        await sendInvalid(productId);
        const unknown = randomUUID();
        await send('inventory.receive-stock', { productId: unknown, quantity: 1 });
        await send('inventory.receive-stock', { productId: unknown, quantity: 1 });
        const { groups } = await waitForDead(3);
        const unconfirmed = await store.run(['dead', 'discard', '--all']);
        expect(unconfirmed).toMatchObject({ code: 2, output: expect.stringContaining('--yes') });
        expect((await store.run(['dead', 'replay'])).code).toBe(2);
        expect((await store.run(['dead', 'discard', '--group', '9', '--yes'])).code).toBe(1);
        expect((await store.run(['dead', 'discard', '--group', '', '--yes'])).code).toBe(2);
        expect((await listGroups()).total).toBe(3);
        expect((await store.run(['dead', 'discard', '--group', groups[0]!.group, '--yes'])).code).toBe(0);
        const remaining = await waitForDead(2);
        expect(remaining.groups.map(({ count }) => count)).toEqual([2]);
        // Fixes the cause: the product exists now.
        await inventory.query('INSERT INTO stock (product_id) VALUES ($1)', [unknown]);
        const name = 'Rejection: there is no such product';
        expect((await store.run(['dead', 'replay', '--group', name, '--yes'])).code).toBe(0);
        await until(async () => (await store.readAvailable(unknown)) === 2);
        await waitForDead(0);
      });

      it('are neither lost nor applied twice if a replay is killed', async () => {
        const productId = randomUUID();
        const sent: string[] = [];
        for (let i = 0; i < 40; i++)
          sent.push(await send('inventory.receive-stock', { productId, quantity: 1 }));
        await waitForDead(40);
        await inventory.query('INSERT INTO stock (product_id) VALUES ($1)', [productId]);
        const { child } = store.spawn(['dead', 'replay', '--all', '--yes', '--rate', '10']);
        await until(async () => (await store.readAvailable(productId)) >= 5);
        child.kill('SIGKILL');
        const remaining = await until(async () => {
          const groups = await listGroups();
          return groups.total + (await store.readAvailable(productId)) >= 40 && groups;
        });
        expect(remaining.total).toBeGreaterThan(10);
        expect(getIds(remaining)).toEqual(sent.slice(40 - remaining.total));
        const began = Date.now();
        expect((await store.run(['dead', 'replay', '--all', '--yes', '--rate', '20'])).code).toBe(0);
        expect(Date.now() - began).toBeGreaterThan(((remaining.total - 1) * 1_000) / 20);
        await until(async () => (await store.readAvailable(productId)) === 40);
        await waitForDead(0);
      });
    });

    describe('replay of events', () => {
      it('delivers a lost event again, without a second effect and without any command', async () => {
        const from = new Date().toISOString();
        const lost = await store.createProduct(7);
        const kept = await store.createProduct(5);
        await inventory.query('DELETE FROM stock WHERE product_id = $1', [lost]);
        await inventory.query('DELETE FROM inbox');
        const seen: { exchange: string; id: string; name: string }[] = [];
        const channel = await broker.createChannel();
        const { queue } = await channel.assertQueue('', { exclusive: true });
        await channel.bindQueue(queue, exchanges.events('catalog'), 'catalog.#');
        await channel.consume(
          queue,
          (message) =>
            message &&
            seen.push({
              exchange: message.fields.exchange,
              id: message.properties.messageId as string,
              name: message.fields.routingKey,
            }),
          { noAck: true },
        );
        expect((await store.run(['replay', 'catalog', '--from', 'yesterday', '--yes'])).code).toBe(2);
        expect((await store.run(['replay', 'catalog', '--from', from])).code).toBe(2);
        const { code, output } = await store.run(['replay', 'catalog', '--from', from, '--yes']);
        expect(output).toContain('catalog publishes 2 events again');
        expect(code).toBe(0);
        await until(
          async () =>
            (await inventory.query('SELECT 1 FROM stock WHERE product_id = $1', [lost])).rowCount === 1,
        );
        expect(await store.readAvailable(kept)).toBe(5);
        const once = seen.map(({ id }) => id);
        expect((await store.run(['replay', 'catalog', '--from', from, '--yes'])).code).toBe(0);
        await until(() => seen.length === 4);
        expect(seen.map(({ id }) => id)).toEqual([...once, ...once]);

        const commands = await channel.assertQueue('', { exclusive: true });
        await channel.bindQueue(commands.queue, exchanges.requests('payments'), 'payments.authorize-payment');
        const buyer = await store.createMember();
        expect((await store.buy(buyer.token, store.buildOrder(kept))).status).toBe(201);
        const { messageCount } = await channel.checkQueue(commands.queue);
        expect((await store.run(['replay', 'orders', '--from', from, '--yes'])).code).toBe(0);
        await until(async () => (await openOutbox()) === 0);
        expect((await channel.checkQueue(commands.queue)).messageCount).toBe(messageCount);
        expect(messageCount).toBeGreaterThan(0);
        expect(await store.readAvailable(kept)).toBe(4);
        expect(readAuditLog().filter(({ what }) => what === 'replay events')).toHaveLength(3);
      });

      async function openOutbox(): Promise<number | null> {
        const orders = new pg.Client({ connectionString: getDatabaseUrl(openState(store.home), 'orders') });
        await orders.connect();
        const { rowCount } = await orders.query(
          'SELECT 1 FROM outbox WHERE published_at IS NULL AND due_at IS NULL',
        );
        await orders.end();
        return rowCount;
      }
    });
  });
