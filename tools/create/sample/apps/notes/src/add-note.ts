import { randomUUIDv7 } from 'node:crypto';
import type { Body } from '@jogakbo/contract';
import { AddNote, NoteAdded } from '@jogakbo/contracts-notes';
import type { UnitOfWork } from '@jogakbo/consistency';
import { Handles } from '@jogakbo/messaging';
import { Controller } from '@nestjs/common';
import { Note, toPublicNote } from './note.ts';

@Controller()
export class AddNoteHandler {
  /** The event is published after the transaction has committed, or not at all. */
  @Handles(AddNote)
  async handle({ text }: Body<typeof AddNote>, { tx, publish, caller }: UnitOfWork) {
    if (text === '') throw AddNote.reject('empty-note', 'a note needs a text');
    const added: Note = { noteId: randomUUIDv7(), memberId: caller.memberId, text, addedAt: new Date() };
    await tx.insert(Note, added);
    publish(NoteAdded(toPublicNote(added)));
    return toPublicNote(added);
  }
}
