import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import {
  ChangeSettings,
  CompareVersions,
  GetSettings,
  ListPlaces,
  ListVersions,
  secretMask,
  ReadSettings,
  RollBack,
  SettingsChanged,
} from '@jogakbo/contracts-config';
import type { ServiceUnderTest } from '@jogakbo/testing';
import { decrypt } from '@jogakbo/consistency';
import { deriveClientKey } from '@jogakbo/service';
import { email, operator, passwords, set, startServer } from './server.ts';

describe('config', () => {
  let server: ServiceUnderTest;
  beforeAll(async () => {
    server = await startServer();
  });
  afterAll(() => server.stop());

  const get = (application: string, place: { profile?: string; label?: string } = {}) =>
    server.ask(GetSettings, { application, ...place }, operator);

  it('stores settings with author and time, and publishes the change without values', async () => {
    expect(await get('kept')).toEqual({ version: 0, items: [] });
    expect(await set(server, 'kept', { limit: '5', colour: 'blue' })).toBe(1);
    expect(await set(server, 'kept', { limit: '6' })).toBe(2);
    expect(await get('kept')).toEqual({
      version: 2,
      items: [
        { key: 'colour', value: 'blue', secret: false, version: 1, by: email, at: expect.any(String) },
        { key: 'limit', value: '6', secret: false, version: 2, by: email, at: expect.any(String) },
      ],
    });
    const event = await server.waitForEvent(SettingsChanged, ({ application }) => application === 'kept');
    expect(event).toEqual({ application: 'kept', profile: 'default', label: 'main', version: 1 });
    const { items } = await server.ask(ListPlaces, {}, operator);
    expect(items).toContainEqual(expect.objectContaining({ application: 'kept', version: 2, by: email }));
  });

  it('separates profiles and labels', async () => {
    await set(server, 'apart', { limit: '1' });
    await set(server, 'apart', { limit: '2' }, { profile: 'test' });
    await set(server, 'apart', { limit: '3' }, { label: 'next' });
    const limits = [
      await get('apart'),
      await get('apart', { profile: 'test' }),
      await get('apart', { label: 'next' }),
    ];
    expect(limits.map(({ items }) => items[0]!.value)).toEqual(['1', '2', '3']);
  });

  it('stores each change with its reason, and compares any two versions', async () => {
    await set(server, 'told', { limit: '1', gone: 'x' }, { reason: 'the first' });
    await set(server, 'told', { limit: '2', gone: null }, { reason: 'the second' });
    await set(server, 'told', { limit: '3' }, { reason: 'the third' });
    const first = await server.ask(ListVersions, { application: 'told', limit: 2 }, operator);
    expect(first.items).toEqual([
      {
        version: 3,
        by: email,
        at: expect.any(String),
        reason: 'the third',
        restores: null,
        changes: [{ key: 'limit', before: '2', after: '3' }],
      },
      expect.objectContaining({
        version: 2,
        reason: 'the second',
        changes: [
          { key: 'gone', before: 'x', after: null },
          { key: 'limit', before: '1', after: '2' },
        ],
      }),
    ]);
    const cursor = first.nextCursor!;
    const rest = await server.ask(ListVersions, { application: 'told', limit: 2, cursor }, operator);
    expect(rest).toMatchObject({ items: [{ version: 1, reason: 'the first' }], nextCursor: null });
    const { changes } = await server.ask(CompareVersions, { application: 'told', from: 3, to: 1 }, operator);
    expect(changes).toEqual([
      { key: 'gone', before: null, after: 'x' },
      { key: 'limit', before: '3', after: '1' },
    ]);
  });

  it('stores a roll back as a new version', async () => {
    await set(server, 'back', { limit: '1', stays: 'x' });
    await set(server, 'back', { limit: '2', late: 'y' });
    const command = { application: 'back', reason: 'it was better' };
    expect(await server.ask(RollBack, { ...command, to: 1 }, operator)).toEqual({ version: 3 });
    expect((await get('back')).items).toMatchObject([
      { key: 'limit', value: '1', version: 3 },
      { key: 'stays', value: 'x', version: 1 },
    ]);
    const { items } = await server.ask(ListVersions, { application: 'back' }, operator);
    expect(items[0]).toMatchObject({ version: 3, restores: 1, reason: 'it was better' });
    const again = server.ask(RollBack, { ...command, to: 3 }, operator);
    await expect(again).rejects.toMatchObject({ code: 'no-change' });
    await expect(server.ask(RollBack, { ...command, to: 9 }, operator)).rejects.toMatchObject({
      code: 'not-found',
    });
  });

  it('stores each of 20 concurrent changes as a version', async () => {
    const versions = await Promise.all(
      Array.from({ length: 20 }, (_, i) => set(server, 'crowd', { [`key${i}`]: `${i}` })),
    );
    expect(versions.sort((a, b) => a - b)).toEqual(Array.from({ length: 20 }, (_, i) => i + 1));
    expect((await get('crowd')).items).toHaveLength(20);
  });

  it('rejects changes without effect, outdated versions and callers without the role operator', async () => {
    await set(server, 'picky', { limit: '1' });
    await expect(set(server, 'picky', { limit: '1' })).rejects.toMatchObject({ code: 'no-change' });
    await expect(set(server, 'picky', { limit: '2' }, { version: 0 })).rejects.toMatchObject({
      code: 'version-changed',
    });
    expect(await set(server, 'picky', { limit: '2' }, { version: 1 })).toBe(2);
    const settings = [{ key: 'limit', value: '3' }];
    const caller = { memberId: operator.caller.memberId, roles: ['member', 'moderator'] };
    const command = { application: 'picky', reason: 'no', settings };
    await expect(server.ask(ChangeSettings, command, { caller })).rejects.toMatchObject({
      code: 'forbidden',
    });
    await expect(server.ask(ChangeSettings, command)).rejects.toMatchObject({ code: 'unauthenticated' });
    await expect(set(server, 'picky', { '__proto__.x': '1' })).rejects.toMatchObject({ code: 'invalid' });
  });

  it('prevents changes of versions in the database', async () => {
    await set(server, 'stone', { limit: '1' });
    for (const sql of [
      "UPDATE config_version SET reason = ''",
      'DELETE FROM config_version',
      'TRUNCATE config_version',
    ])
      await expect(server.query(sql)).rejects.toThrow('never changed');
  });

  describe('a secret', () => {
    const secret = 'the-secret-itself-1234';
    beforeAll(async () => {
      await set(server, 'loans', { token: secret }, { secret: true });
      await set(server, 'loans', { token: `${secret}-new` });
    });

    it('is masked in all replies, and stays secret when its value changes', async () => {
      const place = { application: 'loans' };
      const replies = [
        await get('loans'),
        await server.ask(ListVersions, place, operator),
        await server.ask(CompareVersions, { ...place, from: 1, to: 2 }, operator),
        server.getPublishedEvents(SettingsChanged),
      ];
      expect(JSON.stringify(replies)).not.toContain(secret);
      expect(replies[0]).toMatchObject({
        items: [{ key: 'token', value: secretMask, secret: true, version: 2 }],
      });
      expect(replies[2]).toEqual({ changes: [{ key: 'token', before: secretMask, after: secretMask }] });
    });

    it('is stored in the database encrypted only', async () => {
      const tables = await server.query<{ name: string }>(
        `SELECT quote_ident(table_name) AS name FROM information_schema.tables WHERE table_schema = 'public'`,
      );
      expect(tables.map(({ name }) => name)).toEqual(
        expect.arrayContaining(['config_version', 'inbox', 'outbox']),
      );
      for (const { name } of tables) {
        const rows = await server.query(`SELECT * FROM ${name}`);
        expect(JSON.stringify(rows)).not.toContain(secret);
      }
    });

    it('is sent encrypted, so that only its service can decrypt it', async () => {
      const question = { application: 'loans', profiles: ['default'], label: 'main' };
      const answer = await server.ask(ReadSettings, question);
      expect(JSON.stringify(answer)).not.toContain(secret);
      const { value } = answer.sources[0]!.settings[0]!;
      expect(decrypt(deriveClientKey('loans', passwords.loans), value, 'token')).toBe(`${secret}-new`);
      expect(() => decrypt(deriveClientKey('loans', passwords.toys), value, 'token')).toThrow();
      expect(() => decrypt(deriveClientKey('toys', passwords.toys), value, 'token')).toThrow();
      expect(() => decrypt(deriveClientKey('loans', passwords.loans), value, 'other')).toThrow();
      const unknown = server.ask(ReadSettings, { ...question, application: 'unknown' });
      await expect(unknown).rejects.toMatchObject({ code: 'unknown-client' });
    });

    it('cannot be set for all services', async () => {
      const shared = set(server, 'application', { token: secret }, { secret: true });
      await expect(shared).rejects.toMatchObject({ code: 'shared-secret' });
    });

    it('is restored by a roll back', async () => {
      await server.ask(RollBack, { application: 'loans', to: 1, reason: 'back' }, operator);
      const { sources } = await server.ask(ReadSettings, {
        application: 'loans',
        profiles: ['default'],
        label: 'main',
      });
      const { value } = sources[0]!.settings[0]!;
      expect(decrypt(deriveClientKey('loans', passwords.loans), value, 'token')).toBe(secret);
    });
  });
});
