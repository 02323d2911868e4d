import { toPage, type Body } from '@jogakbo/contract';
import { ListAudit } from '@jogakbo/contracts-identity';
import { Handles } from '@jogakbo/messaging';
import { Controller } from '@nestjs/common';
import { DataSource, LessThan } from 'typeorm';
import { AuditEntry } from './audit.ts';

@Controller()
export class ListAuditHandler {
  constructor(private readonly dataSource: DataSource) {}

  /** The cursor is the last entry of the previous page. New entries do not shift the following pages. */
  @Handles(ListAudit)
  async handle({ memberId, kind, limit, cursor }: Body<typeof ListAudit>) {
    const found = await this.dataSource.manager.find(AuditEntry, {
      where: {
        ...(memberId && { memberId }),
        ...(kind && { kind }),
        ...(cursor && { auditId: LessThan(cursor) }),
      },
      order: { auditId: 'DESC' },
      take: limit + 1,
    });
    const { items, nextCursor } = toPage(found, limit, ({ auditId }) => auditId);
    return { items: items.map((entry) => ({ ...entry, at: entry.at.toISOString() })), nextCursor };
  }
}
