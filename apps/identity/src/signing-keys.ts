import { StorageEncryption } from '@jogakbo/consistency';
import type { Reply } from '@jogakbo/contract';
import type { GetJwks } from '@jogakbo/contracts-identity';
import { Injectable, Logger, type OnApplicationShutdown, type OnModuleInit } from '@nestjs/common';
import {
  calculateJwkThumbprint,
  exportJWK,
  generateKeyPair,
  importJWK,
  type CryptoKey,
  type JWK,
} from 'jose';
import { Column, CreateDateColumn, DataSource, Entity, PrimaryColumn, type EntityManager } from 'typeorm';

@Entity('signing_key')
export class SigningKey {
  /** The key's thumbprint (RFC 7638). */
  @PrimaryColumn('text')
  kid: string;

  /** Encrypted with a key that is not in the database. */
  @Column('jsonb', { name: 'private_jwk' })
  privateJwk: unknown;

  @CreateDateColumn({ type: 'timestamptz', name: 'created_at' })
  createdAt: Date;

  /** Signs from then on, until the next one does. */
  @Column('timestamptz', { name: 'active_at' })
  activeAt: Date;
}

export const algorithm = 'ES256';
/** For ID tokens of clients that ask for it: OpenID Connect Discovery 1.0 demands it. Access tokens are never signed with it. */
export const rsaAlgorithm = 'RS256';
/** Whom access tokens are for: all services behind the gateway. */
export const audience = 'jogakbo';
/** Much shorter than a new key is known before it signs. */
const readEvery = 30_000;
/** A key is kept for so long after another one took over: longer than what it signed lives. */
const keptFor = '20 minutes';

/** As it is stored, encrypted as a whole. */
type StoredKey = JWK & { rsa?: JWK & { kid: string } };

interface SigningKeyPair {
  kid: string;
  activeAt: Date;
  privateJwk: JWK;
  privateKey: CryptoKey;
  rsa: JWK & { kid: string };
}

const about = (kid: string): string => `signing key ${kid}`;

/** The keys that tokens are signed with: kept in the database, encrypted, the same in every instance. */
@Injectable()
export class SigningKeys implements OnModuleInit, OnApplicationShutdown {
  readonly #logger = new Logger('SigningKeys');
  /** The one that is active last comes first. */
  #keys: SigningKeyPair[] = [];
  #timer: NodeJS.Timeout;
  #reading: Promise<void> | undefined;

  constructor(
    private readonly dataSource: DataSource,
    private readonly storage: StorageEncryption,
  ) {}

  /** Signs. */
  get current(): { kid: string; privateKey: CryptoKey } {
    const now = Date.now();
    return this.#keys.find(({ activeAt }) => activeAt.getTime() <= now) ?? this.#keys.at(-1)!;
  }

  /** Verify: the current one, the next one, and those whose tokens are still alive. Nothing private is in them. */
  get public(): Reply<typeof GetJwks>['keys'] {
    return this.#keys.flatMap(({ kid, privateJwk: { kty, crv, x, y }, rsa }) => [
      // Every elliptic curve key has these.
      { kty: kty!, crv: crv!, x: x!, y: y!, kid, use: 'sig', alg: algorithm },
      { kty: rsa.kty!, n: rsa.n!, e: rsa.e!, kid: rsa.kid, use: 'sig', alg: rsaAlgorithm },
    ]);
  }

  /** Sign, the current one first; and what else must be the same in every instance is derived from them. */
  get private(): (JWK & { kid: string })[] {
    const { kid: current } = this.current;
    return this.#keys
      .toSorted((a, b) => Number(b.kid === current) - Number(a.kid === current))
      .flatMap(({ kid, privateJwk, rsa }) => [
        { ...privateJwk, kid, use: 'sig', alg: algorithm },
        { ...rsa, use: 'sig', alg: rsaAlgorithm },
      ]);
  }

  async onModuleInit(): Promise<void> {
    await this.load();
    this.#timer = setInterval(() => {
      this.#reading = this.load().catch((error: Error) => this.#logger.warn(error.message));
    }, readEvery).unref();
  }

  async onApplicationShutdown(): Promise<void> {
    clearInterval(this.#timer);
    await this.#reading;
  }

  /** Reads what there is; forgets keys that nothing alive was signed with. */
  async load(): Promise<void> {
    await this.dataSource.query(
      `DELETE FROM signing_key old WHERE EXISTS (SELECT FROM signing_key next
         WHERE next.active_at > old.active_at AND next.active_at < now() - interval '${keptFor}')`,
    );
    const keys = await this.#readOrMake();
    this.#keys = await Promise.all(
      keys.map(async ({ kid, activeAt, privateJwk: stored }) => {
        let key = this.storage.decrypt(stored, about(kid)) as StoredKey;
        if (!key.rsa) key = await this.#addRsa(kid, stored, key);
        else if (this.storage.isOutdated(stored)) await this.#encryptAgain(kid, key);
        const { rsa, ...privateJwk } = key;
        const privateKey = (await importJWK(privateJwk, algorithm)) as CryptoKey;
        return { kid, activeAt, privateJwk, privateKey, rsa: rsa! };
      }),
    );
  }

  /** Completes a key that was stored before there was RS256. Of several instances one does; the others read what it made. */
  async #addRsa(kid: string, stored: unknown, key: StoredKey): Promise<StoredKey> {
    const complete = this.storage.encrypt({ ...key, rsa: await makeRsaKey() }, about(kid));
    await this.dataSource.query(
      'UPDATE signing_key SET private_jwk = $2 WHERE kid = $1 AND private_jwk = $3::jsonb',
      [kid, JSON.stringify(complete), JSON.stringify(stored)],
    );
    const { privateJwk } = await this.dataSource.manager.findOneByOrFail(SigningKey, { kid });
    return this.storage.decrypt(privateJwk, about(kid)) as StoredKey;
  }

  /** Encrypts a key that was stored before there was encryption, or before the service key was rotated. */
  async #encryptAgain(kid: string, privateJwk: StoredKey): Promise<void> {
    const stored = this.storage.encrypt(privateJwk, about(kid));
    await this.dataSource.manager.update(SigningKey, { kid }, { privateJwk: stored as never });
    this.#logger.log(`the signing key ${kid} is encrypted with the current service key`);
  }

  /** Makes a key that signs from then on. */
  async add(tx: EntityManager, activeAt: Date): Promise<{ kid: string; activeAt: Date }> {
    const { privateKey } = await generateKeyPair(algorithm, { extractable: true });
    const privateJwk = await exportJWK(privateKey);
    const kid = await calculateJwkThumbprint(privateJwk);
    const stored = this.storage.encrypt({ ...privateJwk, rsa: await makeRsaKey() }, about(kid));
    await tx.insert(SigningKey, { kid, privateJwk: stored as never, activeAt });
    return { kid, activeAt };
  }

  /** @param lock waits for whoever adds a key in the meantime, and keeps others from it until the transaction ends */
  async read(tx: EntityManager, lock?: 'lock'): Promise<SigningKey[]> {
    if (lock) await tx.query(`SELECT pg_advisory_xact_lock(hashtextextended('signing keys', 0))`);
    return tx.find(SigningKey, { order: { activeAt: 'DESC', kid: 'ASC' } });
  }

  /** Of several instances that start at once on an empty database one makes the key; the others wait and read it. */
  async #readOrMake(): Promise<SigningKey[]> {
    const known = await this.read(this.dataSource.manager);
    if (known.length > 0) return known;
    return this.dataSource.transaction(async (tx) => {
      const made = await this.read(tx, 'lock');
      if (made.length > 0) return made;
      await this.add(tx, new Date());
      return this.read(tx);
    });
  }
}

async function makeRsaKey(): Promise<JWK & { kid: string }> {
  const { privateKey } = await generateKeyPair(rsaAlgorithm, { extractable: true });
  const jwk = await exportJWK(privateKey);
  return { ...jwk, kid: await calculateJwkThumbprint(jwk) };
}
