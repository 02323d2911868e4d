import type { ChildProcess } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import {
  BrokerConnection,
  contextHeaders,
  encodeRequest,
  exchanges,
  Publisher,
  queues,
} from '@jogakbo/messaging';
import { eventually } from '@jogakbo/testing';
import { set } from './server.ts';
import { Look, Pack, Sell } from './shop/src/contract.ts';
import { Shops } from './shops.ts';

const members = Array.from(
  { length: 400 },
  (_, nth) => `0198c9a1-0000-7000-8000-${String(nth).padStart(12, '0')}`,
);
/** Everything is live everywhere within a second; a busy machine gets some more. */
const soon = 3_000;

describe('a share of the calls for a version', () => {
  const shops = new Shops();
  let old: ChildProcess;
  let canary: ChildProcess;
  let connection: BrokerConnection;
  let publisher: Publisher;

  beforeAll(async () => {
    await shops.open();
    [old, canary] = await Promise.all([shops.run('1.3.0'), shops.run('1.4.0')]);
    connection = await new BrokerConnection().open(shops.server.broker.url, 'test');
    publisher = new Publisher(connection);
    await publisher.open();
  }, 60_000);
  afterAll(async () => {
    await connection?.close();
    await shops.close();
  });

  const split = (shares: Record<string, number> | null) =>
    set(shops.server, 'application', { trafficSplit: shares && JSON.stringify({ shop: shares }) });
  const getVersion = async (memberId?: string) => (await shops.ask(Look, {}, memberId)).version;
  /** Who meets the named version, each asking once, 50 at a time. */
  async function meeting(version: string): Promise<string[]> {
    const met: string[] = [];
    for (let from = 0; from < members.length; from += 50) {
      await Promise.all(
        members
          .slice(from, from + 50)
          .map(async (one) => (await getVersion(one)) === version && met.push(one)),
      );
    }
    return met.sort();
  }
  /** Sends a command that nobody waits for. */
  const send = (name: string, data: unknown, version = '') =>
    publisher.publish({
      ...{ exchange: exchanges.requests(name), routingKey: `${name}${version}` },
      ...encodeRequest(
        { pattern: name, data },
        { messageId: randomUUID(), persistent: true, mandatory: true, headers: contextHeaders(undefined) },
      ),
    });
  /** How many messages wait in a queue; undefined where there is none. */
  async function waitingIn(queue: string): Promise<number | undefined> {
    const channel = await connection.model!.createChannel();
    channel.on('error', () => {});
    const found = await channel.checkQueue(queue).catch(() => undefined);
    if (found) await channel.close();
    return found?.messageCount;
  }
  const own = { commands: queues.commands('shop', '1.4.0'), queries: queues.queries('shop', '1.4.0') };

  it('is live within a second, as large as was said, and the same members every time', async () => {
    await split({ '1.4.0': 10 });
    let first: string[] = [];
    // The first answer that shows the split may come while somebody still takes what he took before.
    await eventually(
      async () =>
        (await shops.metrics('calls_split_total')).length > 0 || void (await getVersion(members[0])),
      soon,
    );
    await sleep(1_000);
    first = await meeting('1.4.0');
    // 40 of 400, give or take three standard deviations of a fair draw.
    expect(first.length).toBeGreaterThan(22);
    expect(first.length).toBeLessThan(58);
    for (let turn = 0; turn < 3; turn++) expect(await meeting('1.4.0')).toEqual(first);
    const sold = await Promise.all(
      members.slice(0, 60).map(async (one) => [one, (await shops.ask(Sell, { id: `a${one}` }, one)).version]),
    );
    for (const [member, version] of sold) expect(version === '1.4.0').toBe(first.includes(member!));
    expect(await shops.metrics('calls_split_total')).toEqual([
      expect.stringMatching(/callee="shop",callee_version="(others|1.4.0)"/),
      expect.stringMatching(/callee="shop",callee_version="(others|1.4.0)"/),
    ]);

    const asked = performance.now();
    await split({ '1.4.0': 50 });
    const joins = members.filter((one) => !first.includes(one)).slice(0, 40);
    const versions = () => Promise.all(joins.map((one) => getVersion(one)));
    await eventually(async () => (await versions()).includes('1.4.0'), soon);
    console.log(`live after ${Math.round(performance.now() - asked)} ms`);
    const more = await meeting('1.4.0');
    expect(more.length).toBeGreaterThan(170);
    expect(more.length).toBeLessThan(230);
    expect(more).toEqual(expect.arrayContaining(first));
  });

  it('leaves what nobody waits for to the others, and tries again there what failed', async () => {
    await Promise.all(Array.from({ length: 20 }, (_, nth) => send(Sell.name, { id: `unasked-${nth}` })));
    await eventually(async () => (await shops.sold('unasked-')).length === 20);
    expect(new Set((await shops.sold('unasked-')).map(({ version }) => version))).toEqual(new Set(['1.3.0']));
    await send(Pack.name, { id: 'torn', failing: 2 }, '@1.4.0');
    await eventually(async () => (await shops.sold('torn')).length === 1);
    expect(await shops.sold('torn')).toEqual([{ id: 'torn', version: '1.3.0' }]);
  });

  it('hands what only the version knows to it, whoever it came from', async () => {
    const others = members.filter((_, nth) => nth % 40 === 0);
    await Promise.all(
      others.map((one) =>
        shops.ask({ kind: 'command', name: 'shop.wrap' }, { id: `wrapped-${one}`, failing: 0 }, one),
      ),
    );
    await send('shop.wrap', { id: 'wrapped-unasked', failing: 0 });
    await eventually(async () => (await shops.sold('wrapped-')).length === others.length + 1);
    expect(new Set((await shops.sold('wrapped-')).map(({ version }) => version))).toEqual(new Set(['1.4.0']));
  });

  it('loses and repeats nothing when the version is killed in the middle, and goes on with the others', async () => {
    const mine = await meeting('1.4.0');
    const sales = mine
      .slice(0, 60)
      .map((one, nth) => shops.ask(Sell, { id: `killed-${nth}`, takes: 100 }, one));
    await sleep(200);
    await shops.kill(canary);
    await Promise.all(sales);
    expect((await shops.sold('killed-')).map(({ id }) => id).sort()).toEqual(
      sales.map((_, nth) => `killed-${nth}`).sort(),
    );
    // Nobody waits for one that is away.
    await eventually(
      async () =>
        (await shops.metrics('calls_split_fell_back_total')).length > 0 || void (await getVersion(mine[0])),
    );
    expect(await meeting('1.4.0')).toEqual([]);
    canary = await shops.run('1.4.0');
    await eventually(async () => (await getVersion(mine[0])) === '1.4.0');
    expect(await meeting('1.4.0')).toEqual(mine);
  }, 60_000);

  it('has the version take everything while there is no other', async () => {
    await shops.kill(old);
    // At once, and not when the other is known to be gone.
    await Promise.all(members.slice(0, 50).map((one) => getVersion(one)));
    await send(Sell.name, { id: 'alone' });
    await eventually(async () => (await shops.sold('alone')).length === 1, soon);
    old = await shops.run('1.3.0');
    const others = async () => new Set(await Promise.all(members.slice(0, 50).map((one) => getVersion(one))));
    await eventually(async () => (await others()).has('1.3.0'), soon);
    await sleep(1_000);
    const mine = await meeting('1.4.0');
    expect(await meeting('1.4.0')).toEqual(mine);
    expect(mine.length).toBeLessThan(230);
  }, 60_000);

  it('ends: both take all calls again, and the queues of the version are gone', async () => {
    await split(null);
    // One after the other: what is asked at once travels together, to one of them.
    const met = new Set<string>();
    await eventually(async () => met.add(await getVersion(members[0])).size === 2, soon);
    await eventually(async () => (await waitingIn(own.commands)) === undefined, 28_000);
    await eventually(async () => (await waitingIn(own.queries)) === undefined, 5_000);
  }, 60_000);

  it('hands on what is left in the queue of a version when nobody is there any more who knows of it', async () => {
    await split({ '1.4.0': 50 });
    await eventually(async () => (await waitingIn(own.commands)) !== undefined, soon);
    await eventually(() =>
      send(Sell.name, { id: 'before' }, '@1.4.0').then(
        () => true,
        () => false,
      ),
    );
    await shops.kill(old);
    await shops.kill(canary);
    await send(Sell.name, { id: 'left-behind' }, '@1.4.0');
    await split(null);
    old = await shops.run('1.3.0');
    await eventually(async () => (await shops.sold('left-behind')).length === 1, 20_000);
  }, 60_000);
});
