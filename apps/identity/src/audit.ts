import { randomUUIDv7 } from 'node:crypto';
import type { Body } from '@jogakbo/contract';
import { ListAudit, type AuditDetails, type AuditKind } from '@jogakbo/contracts-identity';
import { Handles } from '@jogakbo/messaging';
import { Controller } from '@nestjs/common';
import { Column, DataSource, Entity, LessThan, PrimaryColumn, type EntityManager } from 'typeorm';

/** What happened to accounts and keys. Holds no password, no token, no hash, and no address that somebody typed in. */
@Entity('audit_entry')
export class AuditEntry {
  @PrimaryColumn('uuid', { name: 'audit_id' })
  auditId: string;

  @Column('timestamptz')
  at: Date;

  @Column('text')
  kind: AuditKind;

  /** Whom it is about; null where nobody has the account. */
  @Column('uuid', { name: 'member_id', nullable: true })
  memberId: string | null;

  /** Who did it, where that is somebody else. */
  @Column('uuid', { nullable: true })
  by: string | null;

  @Column('text', { nullable: true })
  address: string | null;

  @Column('jsonb')
  details: AuditDetails;
}

/** Adds to the trail; within a transaction it becomes true with what it tells. */
export async function recordAudit(
  tx: EntityManager,
  kind: AuditKind,
  about: {
    memberId?: string | undefined;
    by?: string | undefined;
    address?: string | undefined;
    details?: AuditDetails;
  },
): Promise<void> {
  const { memberId = null, by = null, address = null, details = {} } = about;
  await tx.insert(AuditEntry, {
    ...{ auditId: randomUUIDv7(), at: new Date(), kind, memberId, by, address },
    details,
  });
}

@Controller()
export class ListAuditHandler {
  constructor(private readonly dataSource: DataSource) {}

  /** The cursor is the last one seen; what happens meanwhile stands before it and moves nothing. */
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
    const items = found.slice(0, limit).map((entry) => ({ ...entry, at: entry.at.toISOString() }));
    return { items, nextCursor: found.length > limit ? items.at(-1)!.auditId : null };
  }
}
