import { expect, it } from '@jest/globals';
import { toPublicNote } from './note.ts';

it('shows the time of a note in UTC', () => {
  const stored = { noteId: 'id', memberId: 'm-1', text: 'Hello', addedAt: new Date(0) };
  expect(toPublicNote(stored)).toEqual({ ...stored, addedAt: '1970-01-01T00:00:00.000Z' });
});
