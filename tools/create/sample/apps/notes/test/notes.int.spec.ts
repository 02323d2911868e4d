import { randomUUIDv7 } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { ListNotes, NoteWritten, WriteNote } from '@jogakbo/contracts-notes';
import { ServiceUnderTest } from '@jogakbo/testing';
import { NotesModule } from '../src/notes.module.ts';

describe('notes', () => {
  let notes: ServiceUnderTest;
  const caller = { memberId: randomUUIDv7(), roles: ['member'] };

  beforeAll(async () => {
    notes = await ServiceUnderTest.start(NotesModule);
  });
  afterAll(() => notes.stop());

  const write = (text: string) => notes.ask(WriteNote, { text }, { caller });

  it('stores a note and publishes it', async () => {
    const { noteId } = await write('First');
    const { memberId } = await notes.waitForEvent(NoteWritten, (event) => event.noteId === noteId);
    expect(memberId).toBe(caller.memberId);
    const { items } = await notes.ask(ListNotes, {});
    expect(items).toContainEqual(expect.objectContaining({ noteId, text: 'First' }));
  });

  it('lists the newest first, page by page', async () => {
    const written = [await write('a'), await write('b'), await write('c')].map(({ noteId }) => noteId);
    const first = await notes.ask(ListNotes, { limit: 2 });
    const second = await notes.ask(ListNotes, { limit: 2, cursor: first.nextCursor! });
    const listed = [...first.items, ...second.items].slice(0, 3).map(({ noteId }) => noteId);
    expect(listed).toEqual(written.toReversed());
  });

  it('rejects a note without text, and an unknown cursor', async () => {
    await expect(write(' ')).rejects.toMatchObject({ code: 'empty-note', status: 422 });
    await expect(notes.ask(ListNotes, { cursor: 'x' })).rejects.toMatchObject({ code: 'unknown-cursor' });
  });
});
