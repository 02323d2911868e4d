import type { Body } from '@jogakbo/contract';
import type { NoteAdded } from '@jogakbo/contracts-notes';
import { Column, Entity, PrimaryColumn } from 'typeorm';

@Entity('note')
export class Note {
  /** Rises with time (UUID version 7). */
  @PrimaryColumn('uuid', { name: 'note_id' })
  noteId: string;

  @Column('uuid', { name: 'member_id' })
  memberId: string;

  @Column('text')
  text: string;

  @Column('timestamptz', { name: 'added_at' })
  addedAt: Date;
}

/** The note as commands, queries and events show it. */
export const toPublicNote = ({ noteId, memberId, text, addedAt }: Note): Body<typeof NoteAdded> => ({
  noteId,
  memberId,
  text,
  addedAt: addedAt.toISOString(),
});
