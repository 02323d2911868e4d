import { randomUUIDv7 } from 'node:crypto';
import type { AuditDetails, AuditKind } from '@jogakbo/contracts-identity';
import { Column, Entity, PrimaryColumn, type EntityManager } from 'typeorm';

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
