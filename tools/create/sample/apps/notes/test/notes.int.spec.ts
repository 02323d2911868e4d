import { randomUUIDv7 } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { AddNote, ListNotes, NoteAdded } from '@jogakbo/contracts-notes';
import { ServiceUnderTest } from '@jogakbo/testing';
import { NotesModule } from '../src/notes.module.ts';

describe('notes', () => {
  let service: ServiceUnderTest;
  const caller = { memberId: randomUUIDv7(), roles: ['member'] };

  beforeAll(async () => {
    service = await ServiceUnderTest.start(NotesModule);
  });
  afterAll(() => service.stop());

  const add = (text: string) => service.ask(AddNote, { text }, { caller });

  it('stores a note and publishes it', async () => {
    const { noteId } = await add('First');
    const { memberId } = await service.waitForEvent(NoteAdded, (event) => event.noteId === noteId);
    expect(memberId).toBe(caller.memberId);
    const { items } = await service.ask(ListNotes, {});
    expect(items).toContainEqual(expect.objectContaining({ noteId, text: 'First' }));
  });

  it('lists the newest first, page by page', async () => {
    const added = [await add('a'), await add('b'), await add('c')].map((one) => one.noteId);
    const first = await service.ask(ListNotes, { limit: 2 });
    const second = await service.ask(ListNotes, { limit: 2, cursor: first.nextCursor! });
    const listed = [...first.items, ...second.items].slice(0, 3).map((one) => one.noteId);
    expect(listed).toEqual(added.toReversed());
  });

  it('rejects a note without text, and an unknown cursor', async () => {
    await expect(add(' ')).rejects.toMatchObject({ code: 'empty-note', status: 422 });
    await expect(service.ask(ListNotes, { cursor: 'x' })).rejects.toMatchObject({ code: 'unknown-cursor' });
  });
});
