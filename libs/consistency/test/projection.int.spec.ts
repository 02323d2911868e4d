import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { append, noEvents, requestRebuild, UnitsOfWork, type UnitOfWork } from '@jogakbo/consistency';
import { eventually, ServiceUnderTest } from '@jogakbo/testing';
import { DataSource } from 'typeorm';
import { Add, ListPots, longTimeout, Open, pot, PotsModule, Rained } from './pots.ts';

describe('a projection', () => {
  let potsService: ServiceUnderTest;
  let dataSource: DataSource;
  const openPot = async () => {
    const potId = randomUUID();
    await potsService.ask(Open, { potId, owner: randomUUID(), note: 'hello' });
    return potId;
  };

  beforeAll(async () => {
    potsService = await ServiceUnderTest.start(PotsModule);
    dataSource = potsService.get(DataSource);
  });
  afterAll(() => potsService.stop());

  const readRows = () =>
    potsService.query('SELECT * FROM pot_sum ORDER BY pot_id') as Promise<{ seen: number | null }[]>;
  const readProgress = async () =>
    (await potsService.query('SELECT generation, next_generation, fault FROM projection'))[0] as {
      generation: number;
      next_generation: number | null;
    };

  it('shows a caller its own changes', async () => {
    for (let i = 1; i <= 20; i++) {
      const potId = await openPot();
      await potsService.ask(Add, { potId, amount: i });
      const { sums } = await potsService.ask(ListPots, {}, longTimeout);
      expect(sums[potId]).toBe(i);
    }
  });

  it('handles events of other services once', async () => {
    const place = randomUUID();
    await potsService.announce(Rained({ place, drops: 4 }));
    await eventually(async () => (await potsService.ask(ListPots, {}, longTimeout)).sums[place] === 4);
  });

  it('is rebuilt while the service runs, to the same rows and without gaps', async () => {
    const potId = await openPot();
    let over = false;
    const added: Promise<unknown>[] = [];
    const writing = (async () => {
      while (!over) {
        added.push(potsService.ask(Add, { potId, amount: 1 }, longTimeout));
        await added.at(-1);
      }
    })();
    const seen: number[] = [];
    const reading = (async () => {
      while (!over) seen.push((await potsService.ask(ListPots, {}, longTimeout)).sums[potId] ?? -1);
    })();
    // Several batches, so that the rebuild takes some time.
    await potsService.query(
      `INSERT INTO event (stream, subject, version, type, data)
       SELECT 'pot', 'old ' || n % 10, n / 10 + 1, 'added', '{"amount": 1}' FROM generate_series(0, 1499) AS n`,
    );
    const { generation } = await readProgress();
    await requestRebuild(dataSource.manager, 'sums');
    await eventually(async () => (await readProgress()).generation === generation + 1, 25_000);
    over = true;
    await Promise.all([writing, reading]);
    expect(seen).toEqual([...seen].sort((a, b) => a - b));
    await potsService.ask(ListPots, {}, longTimeout);
    const before = await readRows();
    expect(before).toContainEqual(expect.objectContaining({ pot_id: potId, sum: added.length }));
    expect(before.filter(({ seen }) => seen === null)).toEqual([]); // no version was skipped or out of order

    await requestRebuild(dataSource.manager, 'sums');
    await eventually(async () => (await readProgress()).generation === generation + 2, 25_000);
    expect(await readRows()).toEqual(before);
    // The previous generation is dropped after the switch.
    const list = () => potsService.query(`SELECT nspname FROM pg_namespace WHERE nspname LIKE 'sums%'`);
    await eventually(async () => (await list()).length === 1);
    expect(await list()).toEqual([{ nspname: `sums_${generation + 2}` }]);
  });

  it('skips no event with a late commit', async () => {
    const units = potsService.get(UnitsOfWork);
    const open = (potId: string, work: UnitOfWork) =>
      append(work, pot, potId, noEvents, [{ type: 'opened', owner: potId, note: '', limit: 1 }]);
    const late = randomUUID();
    const early: string[] = [];
    await units.run(async (work) => {
      await open(late, work);
      // First the only open transaction, then the oldest of many.
      await new Promise((resolve) => setTimeout(resolve, 600));
      for (let i = 0; i < 20; i++) {
        early.push(randomUUID());
        await units.run((other) => open(early.at(-1)!, other));
      }
      await new Promise((resolve) => setTimeout(resolve, 300));
    });
    const { sums } = await potsService.ask(ListPots, {}, longTimeout);
    expect(Object.keys(sums)).toEqual(expect.arrayContaining([late, ...early]));
  });

  it('continues with another instance', async () => {
    const second = await potsService.startAnother();
    await potsService.restart();
    dataSource = potsService.get(DataSource);
    const potId = await openPot();
    await potsService.ask(Add, { potId, amount: 9 });
    await eventually(async () => (await potsService.ask(ListPots, {}, longTimeout)).sums[potId] === 9);
    await second.stop();
  });
});
