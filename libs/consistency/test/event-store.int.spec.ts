import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { append, erase, history, load, noEvents, UnitsOfWork } from '@jogakbo/consistency';
import { ServiceUnderTest } from '@jogakbo/testing';
import { DataSource } from 'typeorm';
import { Add, Added, ListPots, longTimeout, Open, pot, PotsModule } from './pots.ts';

describe('the event store', () => {
  let potsService: ServiceUnderTest;
  let dataSource: DataSource;
  const openPot = async (owner: string = randomUUID(), note = 'hello') => {
    const potId = randomUUID();
    await potsService.ask(Open, { potId, owner, note });
    return potId;
  };
  const loadPot = (potId: string) => load(dataSource.manager, pot, potId);

  beforeAll(async () => {
    potsService = await ServiceUnderTest.start(PotsModule);
    dataSource = potsService.get(DataSource);
  });
  afterAll(() => potsService.stop());

  it('stores events and publishes them', async () => {
    const potId = await openPot();
    await expect(potsService.ask(Add, { potId, amount: 3 })).resolves.toEqual({ sum: 3 });
    const events = await history(dataSource.manager, pot, potId);
    expect(events.map(({ type }) => type)).toEqual(['opened', 'added']);
    await potsService.waitForEvent(Added, (data) => data.potId === potId && data.sum === 3);
  });

  it('rejects a change of an unknown aggregate', async () => {
    await expect(potsService.ask(Add, { potId: randomUUID(), amount: 1 })).rejects.toMatchObject({
      code: 'not-found',
    });
  });

  it('applies 100 concurrent changes of one aggregate without gaps', async () => {
    const potId = await openPot();
    await Promise.all(
      Array.from({ length: 100 }, () => potsService.ask(Add, { potId, amount: 1 }, { timeout: 20_000 })),
    );
    await expect(loadPot(potId)).resolves.toMatchObject({ version: 101, state: { sum: 100 } });
  });

  it('rejects a change based on an old version, and rolls back the unit of work', async () => {
    const potId = await openPot();
    const old = await loadPot(potId);
    await potsService.ask(Add, { potId, amount: 1 });
    const units = potsService.get(UnitsOfWork);
    const other = randomUUID();
    const late = units.run(async (work) => {
      await append(work, pot, other, noEvents, [{ type: 'opened', owner: 'o', note: '', limit: 1 }]);
      await append(work, pot, potId, old, [{ type: 'added', amount: 5 }]);
    });
    await expect(late).rejects.toMatchObject({ name: 'VersionConflict' });
    await expect(loadPot(potId)).resolves.toMatchObject({ state: { sum: 1 } });
    await expect(loadPot(other)).resolves.toEqual(noEvents);
  });

  it('reports the conflict even if the handler continues to read', async () => {
    const potId = await openPot();
    const old = await loadPot(potId);
    await potsService.ask(Add, { potId, amount: 1 });
    const late = potsService.get(UnitsOfWork).run(async (work) => {
      await append(work, pot, potId, old, [{ type: 'added', amount: 5 }]);
      await work.tx.query('SELECT 1');
    });
    await expect(late).rejects.toMatchObject({ name: 'VersionConflict' });
  });

  it('loads a snapshot and later events, with the same result as without it', async () => {
    const potId = await openPot();
    for (let i = 0; i < 14; i++) await potsService.ask(Add, { potId, amount: 2 });
    const whole = await loadPot(potId);
    expect(whole).toMatchObject({ version: 15, state: { sum: 28 } });
    // Proves that the snapshot is used: earlier events are not read.
    await dataSource.query(`UPDATE event SET data = '{"amount": 1000}' WHERE subject = $1 AND version = 3`, [
      potId,
    ]);
    await expect(loadPot(potId)).resolves.toEqual(whole);
    await dataSource.query(`UPDATE event SET data = '{"amount": 2}' WHERE subject = $1 AND version = 3`, [
      potId,
    ]);
    await dataSource.query('DELETE FROM snapshot WHERE subject = $1', [potId]);
    await expect(loadPot(potId)).resolves.toEqual(whole);
  });

  it('upcasts events of an older revision', async () => {
    const potId = randomUUID();
    await dataSource.query(
      `INSERT INTO event (stream, subject, version, type, revision, data) VALUES ('pot', $1, 1, 'opened', 1, '{"owner":"o","note":"n"}')`,
      [potId],
    );
    await expect(loadPot(potId)).resolves.toMatchObject({ state: { limit: 1_000_000, note: 'n' } });
    const today = await openPot();
    const rows = await potsService.query('SELECT revision FROM event WHERE subject = $1', [today]);
    expect(rows).toEqual([{ revision: 2 }]);
  });

  it('encrypts personal data, and cannot decrypt it after its key is erased', async () => {
    const [kim, lee] = [randomUUID(), randomUUID()];
    const ofKim = await openPot(kim, '비밀 of Kim');
    const ofLee = await openPot(lee, '비밀 of Lee');
    const stored = JSON.stringify(await potsService.query('SELECT * FROM event'));
    expect(stored).not.toContain('비밀');
    await expect(loadPot(ofKim)).resolves.toMatchObject({ state: { note: '비밀 of Kim' } });
    await potsService.get(UnitsOfWork).run(({ tx }) => erase(tx, kim));
    await expect(loadPot(ofKim)).resolves.toMatchObject({ state: { owner: kim, note: 'erased' } });
    await expect(loadPot(ofLee)).resolves.toMatchObject({ state: { note: '비밀 of Lee' } });
  });

  it('keeps what was erased unreadable when the same person gets a new key', async () => {
    const kim = randomUUID();
    const before = await openPot(kim, 'before');
    // An instance of the previous version stores no key id.
    await potsService.query('UPDATE event SET personal_key_id = NULL WHERE subject = $1', [before]);
    await expect(loadPot(before)).resolves.toMatchObject({ state: { note: 'before' } });
    const eraseKim = () => potsService.get(UnitsOfWork).run(({ tx }) => erase(tx, kim));
    await eraseKim();
    const after = await openPot(kim, 'after');
    await expect(loadPot(before)).resolves.toMatchObject({ state: { note: 'erased' } });
    await expect(loadPot(after)).resolves.toMatchObject({ state: { note: 'after' } });
    const { sums } = await potsService.ask(ListPots, {}, longTimeout);
    expect(sums).toMatchObject({ [before]: 0, [after]: 0 });
    await eraseKim();
    await expect(loadPot(after)).resolves.toMatchObject({ state: { note: 'erased' } });
  });

  it('reads an event as erased whose key cannot be known and does not fit', async () => {
    const kim = randomUUID();
    const before = await openPot(kim, 'before');
    await potsService.get(UnitsOfWork).run(({ tx }) => erase(tx, kim));
    // An instance of the previous version erased, or committed this event after the erasure: it stored no key id.
    await potsService.query('UPDATE event SET personal_key_id = NULL WHERE subject = $1', [before]);
    const after = await openPot(kim, 'after');
    await expect(loadPot(before)).resolves.toMatchObject({ state: { note: 'erased' } });
    // An event with a key id is not erased: its data was changed.
    await potsService.query(
      'UPDATE event SET personal_key_id = (SELECT id FROM personal_key WHERE person = $2) WHERE subject = $1',
      [before, kim],
    );
    await expect(loadPot(before)).rejects.toThrow('unable to authenticate');
    await potsService.query('UPDATE event SET personal_key_id = NULL WHERE subject = $1', [before]);
    const { sums } = await potsService.ask(ListPots, {}, longTimeout);
    expect(sums).toMatchObject({ [before]: 0, [after]: 0 });
  });

  it('finds the events of a person to erase without reading the others', async () => {
    await potsService.query(
      `INSERT INTO event (stream, subject, version, type, data, person)
       SELECT 'other', 'index ' || n, 1, 'opened', '{}', 'person ' || n FROM generate_series(1, 3000) AS n`,
    );
    await potsService.query('ANALYZE event');
    const plan = await potsService.query<{ 'QUERY PLAN': string }>(
      "EXPLAIN UPDATE event SET personal_key_id = NULL WHERE person = 'person 7' AND personal_key_id IS NULL",
    );
    await potsService.query("DELETE FROM event WHERE subject LIKE 'index %'");
    expect(JSON.stringify(plan)).toContain('event_without_key_id');
  });
});
