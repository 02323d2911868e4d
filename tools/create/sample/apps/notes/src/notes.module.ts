import { notes } from '@jogakbo/contracts-notes';
import { consistencyMigrations } from '@jogakbo/consistency';
import { Service } from '@jogakbo/service';
import { Notes1700000010000 } from '../migrations/1700000010000-notes.ts';
import { AddNoteHandler } from './add-note.ts';
import { ListNotesHandler } from './list-notes.ts';
import { Note } from './note.ts';

@Service({
  contract: notes,
  migrations: [...consistencyMigrations, Notes1700000010000],
  entities: [Note],
  handlers: [AddNoteHandler, ListNotesHandler],
})
export class NotesModule {}
