import type { Body } from '@jogakbo/contract';
import type { NoteWritten } from '@jogakbo/contracts-notes';
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

  @Column('timestamptz', { name: 'written_at' })
  writtenAt: Date;
}

/** The note as commands, queries and events show it. */
export const toPublicNote = ({ noteId, memberId, text, writtenAt }: Note): Body<typeof NoteWritten> => ({
  noteId,
  memberId,
  text,
  writtenAt: writtenAt.toISOString(),
});
