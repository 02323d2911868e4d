import { randomUUID } from 'node:crypto';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { connect, type ChannelModel } from 'amqplib';
import { brokerUser } from '../src/private-broker.ts';
import { openSecrets, openState } from '../src/state.ts';
import { brokerUrlOf } from '../src/store-access.ts';
import { until } from './jogakbo.ts';
import { type Store } from './store.ts';

export const trust = (store: Store) =>
  describe('trust between services', () => {
    let broker: ChannelModel;

    beforeAll(async () => {
      broker = await connect(brokerUrlOf(openState(store.home)));
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
      await publish('commands', 'inventory.receive-stock', { productId, quantity: 1_000 });
      const removed = { productId, name: 'x', sku: 'x' };
      await publish('events', 'catalog.product-added', removed, brokerUser);
      await until(async () => (await causes()).length === 2);
      expect((await causes()).sort()).toEqual([
        `Stranger: catalog.product-added came from ${brokerUser}: only catalog may announce it`,
        'Stranger: inventory.receive-stock came from somebody without identity',
      ]);
      expect(await store.available(productId)).toBe(5);
      // Who sends it again does not vouch for it.
      expect((await store.run(['dead', 'replay', '--all', '--yes'])).code).toBe(0);
      await until(async () => (await causes()).length === 2);
      expect(await store.available(productId)).toBe(5);
      const { url } = store.recordOf('inventory')!;
      const metrics = await (await fetch(`${url}/metrics`)).text();
      expect(metrics).toMatch(/messages_of_strangers_total\{kind="event",[^}]*\} [1-9]/);
    });

    it('keeps every secret in a file of its own user, off the screen, the logs and the list of processes', async () => {
      const secrets = openSecrets(openState(store.home));
      const said = [
        ...[secrets.broker, secrets.database],
        ...[...Object.values(secrets.services), ...Object.values(secrets.brokerLogins)],
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
