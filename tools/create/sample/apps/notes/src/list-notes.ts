import { Id, toPage, type Body } from '@jogakbo/contract';
import { ListNotes } from '@jogakbo/contracts-notes';
import { Handles } from '@jogakbo/messaging';
import { Controller } from '@nestjs/common';
import { DataSource, LessThan } from 'typeorm';
import { Note, toPublicNote } from './note.ts';

@Controller()
export class ListNotesHandler {
  constructor(private readonly dataSource: DataSource) {}

  /** The cursor is the id of the last note. */
  @Handles(ListNotes)
  async handle({ limit, cursor }: Body<typeof ListNotes>) {
    if (cursor && !Id.safeParse(cursor).success) throw ListNotes.reject('unknown-cursor');
    const found = await this.dataSource.manager.find(Note, {
      where: cursor ? { noteId: LessThan(cursor) } : {},
      order: { noteId: 'DESC' },
      take: limit + 1,
    });
    const { items, nextCursor } = toPage(found, limit, (last) => last.noteId);
    return { items: items.map(toPublicNote), nextCursor };
  }
}
