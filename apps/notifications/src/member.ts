import { OutOfOrder } from '@jogakbo/consistency/out-of-order';
import { Column, Entity, PrimaryColumn, type EntityManager } from 'typeorm';

/** A copy of the member data that mails need. Identity owns the original. */
@Entity('member')
export class Member {
  @PrimaryColumn('uuid', { name: 'member_id' })
  memberId: string;

  @Column('text')
  email: string;

  @Column('text')
  language: string;
}

/**
 * @throws OutOfOrder if the member is not known yet. Events of members and of orders are not ordered relative to each other,
 *   so the message is retried.
 */
export async function findMember(tx: EntityManager, memberId: string): Promise<Member> {
  const member = await tx.findOneBy(Member, { memberId });
  if (!member) throw new OutOfOrder(`member ${memberId} is not known yet`);
  return member;
}
