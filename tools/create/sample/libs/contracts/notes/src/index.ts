import { createPageSchema, Id, multilineText, pageQuery, service, Timestamp } from '@jogakbo/contract';
import { z } from 'zod';

export const notes = service('notes', 'Short notes of members, which everyone can read.');

const Note = z.object({ noteId: Id, memberId: Id, text: z.string(), writtenAt: Timestamp });

export const WriteNote = notes.command('write-note', {
  description: 'Writes a note.',
  input: z.strictObject({ text: multilineText(2_000) }),
  output: Note,
  rejections: { 'empty-note': 422 },
  http: { route: 'POST /v1/notes', status: 201 },
  access: 'member',
});

export const ListNotes = notes.query('list-notes', {
  description: 'The notes of all members, newest first.',
  input: z.strictObject(pageQuery),
  output: createPageSchema(Note),
  rejections: { 'unknown-cursor': 400 },
  http: 'GET /v1/notes',
  access: 'public',
});

export const NoteWritten = notes.event('note-written', Note);
