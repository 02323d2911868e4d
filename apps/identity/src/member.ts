import { Column, Entity, PrimaryColumn, type EntityManager } from 'typeorm';

@Entity('member')
export class Member {
  @PrimaryColumn('uuid', { name: 'member_id' })
  memberId: string;

  /** In lower case, so that an address is unique in any spelling. */
  @Column('text')
  email: string;

  @Column('text')
  name: string;

  @Column('text', { name: 'password_hash' })
  passwordHash: string;

  @Column('text', { array: true })
  roles: string[];

  /** Incremented to revoke all access tokens issued before. */
  @Column('int', { name: 'token_generation', default: 0 })
  tokenGeneration: number;
}

/**
 * Adds a member unless the address is taken. Of several concurrent calls one succeeds.
 * @returns the id of the member with this address: the given id if the member was added
 */
export async function addMember(tx: EntityManager, member: Omit<Member, 'tokenGeneration'>): Promise<string> {
  const { memberId, email, name, passwordHash, roles } = member;
  // One statement for new and taken addresses. For a taken one, the update only returns the existing row.
  const [row] = await tx.query<{ member_id: string }[]>(
    `INSERT INTO member (member_id, email, name, password_hash, roles) VALUES ($1, $2, $3, $4, $5)
     ON CONFLICT (email) DO UPDATE SET email = excluded.email RETURNING member_id`,
    [memberId, email, name, passwordHash, roles],
  );
  return row!.member_id;
}
