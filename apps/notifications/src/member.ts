import type { Language } from '@jogakbo/contract';
import { Column, Entity, PrimaryColumn, type EntityManager } from 'typeorm';

/** This service's own copy of what it needs to write to a member. Identity owns the original. */
@Entity('member')
export class Member {
  @PrimaryColumn('uuid', { name: 'member_id' })
  memberId: string;

  @Column('text')
  email: string;

  @Column('text')
  language: Language;
}

/**
 * @throws Error where the member is not known yet: news of members and of orders come by different ways, so the
 *   message that needs one waits and is tried again
 */
export async function findMember(tx: EntityManager, memberId: string): Promise<Member> {
  const member = await tx.findOneBy(Member, { memberId });
  if (!member) throw new Error(`member ${memberId} is not known yet`);
  return member;
}
