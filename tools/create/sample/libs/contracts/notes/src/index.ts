import { createPageSchema, Id, multilineText, pageQuery, service, Timestamp } from '@jogakbo/contract';
import { z } from 'zod';

export const notes = service('notes', 'The notes of members, which everyone can read.');

const Note = z.object({ noteId: Id, memberId: Id, text: z.string(), addedAt: Timestamp });

export const AddNote = notes.command('add-note', {
  description: 'Adds a note.',
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

export const NoteAdded = notes.event('note-added', Note, { subject: 'noteId' });
