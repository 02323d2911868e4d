import { Injectable, type OnModuleInit } from '@nestjs/common';
import {
  calculateJwkThumbprint,
  exportJWK,
  generateKeyPair,
  importJWK,
  type CryptoKey,
  type JWK,
} from 'jose';
import { Column, CreateDateColumn, DataSource, Entity, PrimaryColumn } from 'typeorm';

@Entity('signing_key')
export class SigningKey {
  /** The key's thumbprint (RFC 7638). */
  @PrimaryColumn('text')
  kid: string;

  @Column('jsonb', { name: 'private_jwk' })
  privateJwk: JWK;

  @CreateDateColumn({ type: 'timestamptz', name: 'created_at' })
  createdAt: Date;
}

export const algorithm = 'ES256';

/** The keys that access tokens are signed with: made once, kept in the database, the same in every instance. */
@Injectable()
export class SigningKeys implements OnModuleInit {
  #current: { kid: string; privateKey: CryptoKey };
  #public: JWK[] = [];

  constructor(private readonly dataSource: DataSource) {}

  /** Signs. */
  get current(): { kid: string; privateKey: CryptoKey } {
    return this.#current;
  }

  /** Verify. Nothing private is in them. */
  get public(): JWK[] {
    return this.#public;
  }

  async onModuleInit(): Promise<void> {
    const keys = await this.#readOrMake();
    const newest = keys.at(-1)!;
    const privateKey = (await importJWK(newest.privateJwk, algorithm)) as CryptoKey;
    this.#current = { kid: newest.kid, privateKey };
    this.#public = keys.map(({ kid, privateJwk: { kty, crv, x, y } }) => ({
      ...{ kty, crv, x, y },
      ...{ kid, use: 'sig', alg: algorithm },
    })) as JWK[];
  }

  /** Of several instances that start at once on an empty database one makes the key; the others wait and read it. */
  #readOrMake(): Promise<SigningKey[]> {
    return this.dataSource.transaction(async (tx) => {
      await tx.query(`SELECT pg_advisory_xact_lock(hashtextextended('signing keys', 0))`);
      const read = () => tx.find(SigningKey, { order: { createdAt: 'ASC', kid: 'ASC' } });
      const known = await read();
      if (known.length > 0) return known;
      const { privateKey } = await generateKeyPair(algorithm, { extractable: true });
      const privateJwk = await exportJWK(privateKey);
      await tx.insert(SigningKey, { kid: await calculateJwkThumbprint(privateJwk), privateJwk });
      return read();
    });
  }
}
