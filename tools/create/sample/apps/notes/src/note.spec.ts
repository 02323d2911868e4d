import { expect, it } from '@jest/globals';
import { toPublicNote } from './note.ts';

it('shows the time of a note in UTC', () => {
  const note = { noteId: 'n-1', memberId: 'm-1', text: 'Hello', writtenAt: new Date(0) };
  expect(toPublicNote(note)).toEqual({ ...note, writtenAt: '1970-01-01T00:00:00.000Z' });
});
