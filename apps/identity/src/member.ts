import type { Role } from '@jogakbo/contracts-identity';
import { Column, Entity, PrimaryColumn, type EntityManager } from 'typeorm';

@Entity('member')
export class Member {
  @PrimaryColumn('uuid', { name: 'member_id' })
  memberId: string;

  /** In lower case: one address is one member, however it is written. */
  @Column('text')
  email: string;

  @Column('text')
  name: string;

  @Column('text', { name: 'password_hash' })
  passwordHash: string;

  @Column('text', { array: true })
  roles: Role[];

  /** Rises when the access tokens issued before are to be refused. */
  @Column('int', { name: 'token_generation', default: 0 })
  tokenGeneration: number;
}

/** Adds a member unless the address is taken. Gives whether it did; of two at the same time, one does. */
export async function addMember(
  tx: EntityManager,
  member: Omit<Member, 'tokenGeneration'>,
): Promise<boolean> {
  const { raw } = await tx
    .createQueryBuilder()
    .insert()
    .into(Member)
    .values(member)
    .orIgnore()
    .returning('member_id')
    .execute();
  return (raw as unknown[]).length > 0;
}
