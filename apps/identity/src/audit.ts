import { randomUUIDv7 } from 'node:crypto';
import { toPage, type Body } from '@jogakbo/contract';
import { ListAudit, type AuditDetails, type AuditKind } from '@jogakbo/contracts-identity';
import { Handles } from '@jogakbo/messaging';
import { Controller } from '@nestjs/common';
import { Column, DataSource, Entity, LessThan, PrimaryColumn, type EntityManager } from 'typeorm';

/** An event of an account or key. Holds no password, no token, no hash, and no email address from user input. */
@Entity('audit_entry')
export class AuditEntry {
  @PrimaryColumn('uuid', { name: 'audit_id' })
  auditId: string;

  @Column('timestamptz')
  at: Date;

  @Column('text')
  kind: AuditKind;

  /** The member concerned. Null if the account does not exist. */
  @Column('uuid', { name: 'member_id', nullable: true })
  memberId: string | null;

  /** The actor, if not the member. */
  @Column('uuid', { nullable: true })
  by: string | null;

  @Column('text', { nullable: true })
  address: string | null;

  @Column('jsonb')
  details: AuditDetails;
}

/** Adds an entry to the audit trail. Inside a transaction, the entry commits with it. */
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
    auditId: randomUUIDv7(),
    at: new Date(),
    kind,
    memberId,
    by,
    address,
    details,
  });
}

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
