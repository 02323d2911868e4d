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

/**
 * Adds a member unless the address is taken. Of several at the same time, one does.
 * @returns the id of the member who has the address: the one given, if it was added
 */
export async function addMember(tx: EntityManager, member: Omit<Member, 'tokenGeneration'>): Promise<string> {
  const { memberId, email, name, passwordHash, roles } = member;
  // One statement for a fresh and for a taken address: the update changes nothing, and returns the row there is.
  const [row] = await tx.query<{ member_id: string }[]>(
    `INSERT INTO member (member_id, email, name, password_hash, roles) VALUES ($1, $2, $3, $4, $5)
     ON CONFLICT (email) DO UPDATE SET email = excluded.email RETURNING member_id`,
    [memberId, email, name, passwordHash, roles],
  );
  return row!.member_id;
}
