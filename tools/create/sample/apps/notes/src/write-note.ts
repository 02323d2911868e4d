import { randomUUIDv7 } from 'node:crypto';
import type { Body } from '@jogakbo/contract';
import { NoteWritten, WriteNote } from '@jogakbo/contracts-notes';
import type { UnitOfWork } from '@jogakbo/consistency';
import { Handles } from '@jogakbo/messaging';
import { Controller } from '@nestjs/common';
import { Note, toPublicNote } from './note.ts';

@Controller()
export class WriteNoteHandler {
  /** The event is published after the transaction has committed, or not at all. */
  @Handles(WriteNote)
  async handle({ text }: Body<typeof WriteNote>, { tx, publish, caller }: UnitOfWork) {
    if (text === '') throw WriteNote.reject('empty-note', 'a note needs a text');
    const note: Note = { noteId: randomUUIDv7(), memberId: caller.memberId, text, writtenAt: new Date() };
    await tx.insert(Note, note);
    publish(NoteWritten(toPublicNote(note)));
    return toPublicNote(note);
  }
}
