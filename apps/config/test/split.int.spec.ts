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
/** Milliseconds. A live change is in force within a second, or later on a busy machine. */
const liveTimeoutMs = 3_000;

describe('traffic splitting by version', () => {
  const shops = new Shops();
  let old: ChildProcess;
  let canary: ChildProcess;
  let connection: BrokerConnection;
  let publisher: Publisher;

  beforeAll(async () => {
    await shops.open();
    [old, canary] = await Promise.all([shops.start('1.3.0'), shops.start('1.4.0')]);
    connection = await new BrokerConnection().open(shops.server.broker.url, 'test');
    publisher = new Publisher(connection);
    await publisher.open();
  }, 60_000);
  afterAll(async () => {
    await connection?.close();
    await shops.close();
  });

  const setSplit = (shares: Record<string, number> | null) =>
    set(shops.server, 'application', { trafficSplit: shares && JSON.stringify({ shop: shares }) });
  const getVersion = async (memberId?: string) => (await shops.request(Look, {}, memberId)).version;
  /** Finds the members whose call reaches the version. Each member calls once, 50 in parallel. */
  async function findMembersOn(version: string): Promise<string[]> {
    const found: string[] = [];
    for (let from = 0; from < members.length; from += 50) {
      await Promise.all(
        members
          .slice(from, from + 50)
          .map(async (one) => (await getVersion(one)) === version && found.push(one)),
      );
    }
    return found.sort();
  }
  /** Sends a command without waiting for a reply. */
  const send = (name: string, data: unknown, version = '') =>
    publisher.publish({
      exchange: exchanges.requests(name),
      routingKey: `${name}${version}`,
      ...encodeRequest(
        { pattern: name, data },
        { messageId: randomUUID(), persistent: true, mandatory: true, headers: contextHeaders(undefined) },
      ),
    });
  /** Counts the messages in a queue. Undefined if the queue does not exist. */
  async function countMessages(queue: string): Promise<number | undefined> {
    const channel = await connection.model!.createChannel();
    channel.on('error', () => {});
    const found = await channel.checkQueue(queue).catch(() => undefined);
    if (found) await channel.close();
    return found?.messageCount;
  }
  const versionQueues = {
    commands: queues.commands('shop', '1.4.0'),
    queries: queues.queries('shop', '1.4.0'),
  };

  it('takes effect within a second, with the configured share and always the same members', async () => {
    await setSplit({ '1.4.0': 10 });
    let first: string[] = [];
    // The first split call may happen while some consumers still use the old split.
    await eventually(
      async () =>
        (await shops.readMetric('calls_split_total')).length > 0 || void (await getVersion(members[0])),
      liveTimeoutMs,
    );
    await sleep(1_000);
    first = await findMembersOn('1.4.0');
    // 40 of 400, within three standard deviations of a binomial distribution.
    expect(first.length).toBeGreaterThan(22);
    expect(first.length).toBeLessThan(58);
    for (let attempt = 0; attempt < 3; attempt++) expect(await findMembersOn('1.4.0')).toEqual(first);
    const sold = await Promise.all(
      members
        .slice(0, 60)
        .map(async (one) => [one, (await shops.request(Sell, { id: `a${one}` }, one)).version]),
    );
    for (const [member, version] of sold) expect(version === '1.4.0').toBe(first.includes(member!));
    expect(await shops.readMetric('calls_split_total')).toEqual([
      expect.stringMatching(/callee="shop",callee_version="(others|1.4.0)"/),
      expect.stringMatching(/callee="shop",callee_version="(others|1.4.0)"/),
    ]);

    const startedAt = performance.now();
    await setSplit({ '1.4.0': 50 });
    const added = members.filter((one) => !first.includes(one)).slice(0, 40);
    const getVersions = () => Promise.all(added.map((one) => getVersion(one)));
    await eventually(async () => (await getVersions()).includes('1.4.0'), liveTimeoutMs);
    console.log(`live after ${Math.round(performance.now() - startedAt)} ms`);
    const more = await findMembersOn('1.4.0');
    expect(more.length).toBeGreaterThan(170);
    expect(more.length).toBeLessThan(230);
    expect(more).toEqual(expect.arrayContaining(first));
  });

  it('sends commands without a reply, and retries, to the other versions', async () => {
    await Promise.all(Array.from({ length: 20 }, (_, nth) => send(Sell.name, { id: `unasked-${nth}` })));
    await eventually(async () => (await shops.readSales('unasked-')).length === 20);
    expect(new Set((await shops.readSales('unasked-')).map(({ version }) => version))).toEqual(
      new Set(['1.3.0']),
    );
    await send(Pack.name, { id: 'torn', failing: 2 }, '@1.4.0');
    await eventually(async () => (await shops.readSales('torn')).length === 1);
    expect(await shops.readSales('torn')).toEqual([{ id: 'torn', version: '1.3.0' }]);
  });

  it('sends a command that only one version handles to that version, for all members', async () => {
    const others = members.filter((_, nth) => nth % 40 === 0);
    await Promise.all(
      others.map((one) =>
        shops.request({ kind: 'command', name: 'shop.wrap' }, { id: `wrapped-${one}`, failing: 0 }, one),
      ),
    );
    await send('shop.wrap', { id: 'wrapped-unasked', failing: 0 });
    await eventually(async () => (await shops.readSales('wrapped-')).length === others.length + 1);
    expect(new Set((await shops.readSales('wrapped-')).map(({ version }) => version))).toEqual(
      new Set(['1.4.0']),
    );
  });

  it('loses and repeats no command if the version is killed, and falls back to the others', async () => {
    const mine = await findMembersOn('1.4.0');
    const sales = mine
      .slice(0, 60)
      .map((one, nth) => shops.request(Sell, { id: `killed-${nth}`, takes: 100 }, one));
    await sleep(200);
    await shops.kill(canary);
    await Promise.all(sales);
    expect((await shops.readSales('killed-')).map(({ id }) => id).sort()).toEqual(
      sales.map((_, nth) => `killed-${nth}`).sort(),
    );
    // Calls do not wait for a version that is gone.
    await eventually(
      async () =>
        (await shops.readMetric('calls_split_fell_back_total')).length > 0 ||
        void (await getVersion(mine[0])),
    );
    expect(await findMembersOn('1.4.0')).toEqual([]);
    canary = await shops.start('1.4.0');
    await eventually(async () => (await getVersion(mine[0])) === '1.4.0');
    expect(await findMembersOn('1.4.0')).toEqual(mine);
  }, 60_000);

  it('sends all calls to the version while no other runs', async () => {
    await shops.kill(old);
    // Without delay, before the missing heartbeats of the other version are detected.
    await Promise.all(members.slice(0, 50).map((one) => getVersion(one)));
    await send(Sell.name, { id: 'alone' });
    await eventually(async () => (await shops.readSales('alone')).length === 1, liveTimeoutMs);
    old = await shops.start('1.3.0');
    const getFoundVersions = async () =>
      new Set(await Promise.all(members.slice(0, 50).map((one) => getVersion(one))));
    await eventually(async () => (await getFoundVersions()).has('1.3.0'), liveTimeoutMs);
    await sleep(1_000);
    const mine = await findMembersOn('1.4.0');
    expect(await findMembersOn('1.4.0')).toEqual(mine);
    expect(mine.length).toBeLessThan(230);
  }, 60_000);

  it('ends: both versions receive all calls again', async () => {
    await setSplit(null);
    // One call at a time: concurrent calls travel in one batch to one version.
    const found = new Set<string>();
    await eventually(async () => found.add(await getVersion(members[0])).size === 2, liveTimeoutMs);
  }, 60_000);

  // It only waits.
  if (process.env['TEST_FULL'])
    it('ends later in the broker, too: the queues of the version are deleted', async () => {
      await eventually(async () => (await countMessages(versionQueues.commands)) === undefined, 28_000);
      // Looking at this one prolongs its life: look once.
      await sleep(5_000);
      expect(await countMessages(versionQueues.queries)).toBeUndefined();
    }, 60_000);

  it('redelivers messages from the queue of a version after all instances have ended', async () => {
    await setSplit({ '1.4.0': 50 });
    await eventually(async () => (await countMessages(versionQueues.commands)) !== undefined, liveTimeoutMs);
    await eventually(() =>
      send(Sell.name, { id: 'before' }, '@1.4.0').then(
        () => true,
        () => false,
      ),
    );
    await shops.kill(old);
    await shops.kill(canary);
    await send(Sell.name, { id: 'left-behind' }, '@1.4.0');
    await setSplit(null);
    old = await shops.start('1.3.0');
    await eventually(async () => (await shops.readSales('left-behind')).length === 1, 20_000);
  }, 60_000);
});
