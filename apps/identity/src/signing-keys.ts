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

  /** Signs from this time until the next key is active. */
  @Column('timestamptz', { name: 'active_at' })
  activeAt: Date;
}

export const algorithm = 'ES256';
/** For ID tokens of clients that request it (required by OpenID Connect Discovery 1.0). Never signs access tokens. */
export const rsaAlgorithm = 'RS256';
/** In seconds. */
export const accessTokenLifetime = 600;
/** The audience of access tokens: all services behind the gateway. */
export const audience = 'jogakbo';
/** Milliseconds. Much shorter than the time between publication and first use of a key. */
const reloadIntervalMs = 30_000;
/** A replaced key is kept longer than its tokens are valid. */
const retention = '20 minutes';

/** The stored form, encrypted as a whole. */
type StoredKey = JWK & { rsa?: JWK & { kid: string } };

interface SigningKeyPair {
  kid: string;
  activeAt: Date;
  privateJwk: JWK;
  privateKey: CryptoKey;
  rsa: JWK & { kid: string };
}

const toAssociatedData = (kid: string): string => `signing key ${kid}`;

/** The signing keys, stored encrypted in the database and shared by all instances. */
@Injectable()
export class SigningKeys implements OnModuleInit, OnApplicationShutdown {
  readonly #logger = new Logger('SigningKeys');
  /** Sorted by activation time, latest first. */
  #keys: SigningKeyPair[] = [];
  #timer: NodeJS.Timeout;
  #loading: Promise<void> | undefined;

  constructor(
    private readonly dataSource: DataSource,
    private readonly storage: StorageEncryption,
  ) {}

  /** The key that signs now. */
  get current(): { kid: string; privateKey: CryptoKey } {
    const now = Date.now();
    return this.#keys.find(({ activeAt }) => activeAt.getTime() <= now) ?? this.#keys.at(-1)!;
  }

  /** Public keys for verification: the current, the next, and earlier ones with valid tokens. */
  get public(): Reply<typeof GetJwks>['keys'] {
    return this.#keys.flatMap(({ kid, privateJwk: { kty, crv, x, y }, rsa }) => [
      // All elliptic curve keys have these fields.
      { kty: kty!, crv: crv!, x: x!, y: y!, kid, use: 'sig', alg: algorithm },
      { kty: rsa.kty!, n: rsa.n!, e: rsa.e!, kid: rsa.kid, use: 'sig', alg: rsaAlgorithm },
    ]);
  }

  /** Private keys, the current one first. Values shared by all instances, such as cookie keys, are derived from them. */
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
      this.#loading = this.load().catch((error: Error) => this.#logger.warn(error.message));
    }, reloadIntervalMs).unref();
  }

  async onApplicationShutdown(): Promise<void> {
    clearInterval(this.#timer);
    await this.#loading;
  }

  /** Loads the keys, and deletes those without valid tokens. */
  async load(): Promise<void> {
    await this.dataSource.query(
      `DELETE FROM signing_key old WHERE EXISTS (SELECT FROM signing_key next
         WHERE next.active_at > old.active_at AND next.active_at < now() - interval '${retention}')`,
    );
    const keys = await this.#readOrCreate();
    this.#keys = await Promise.all(
      keys.map(async ({ kid, activeAt, privateJwk: stored }) => {
        let key = this.storage.decrypt(stored, toAssociatedData(kid)) as StoredKey;
        if (!key.rsa) key = await this.#addRsaKey(kid, stored, key);
        else if (this.storage.isOutdated(stored)) await this.#reencrypt(kid, key);
        const { rsa, ...privateJwk } = key;
        const privateKey = (await importJWK(privateJwk, algorithm)) as CryptoKey;
        return { kid, activeAt, privateJwk, privateKey, rsa: rsa! };
      }),
    );
  }

  /** Adds an RSA key to a key stored by a version without RS256. One instance does; the others read its result. */
  async #addRsaKey(kid: string, stored: unknown, key: StoredKey): Promise<StoredKey> {
    const complete = this.storage.encrypt({ ...key, rsa: await createRsaKey() }, toAssociatedData(kid));
    await this.dataSource.query(
      'UPDATE signing_key SET private_jwk = $2 WHERE kid = $1 AND private_jwk = $3::jsonb',
      [kid, JSON.stringify(complete), JSON.stringify(stored)],
    );
    const { privateJwk } = await this.dataSource.manager.findOneByOrFail(SigningKey, { kid });
    return this.storage.decrypt(privateJwk, toAssociatedData(kid)) as StoredKey;
  }

  /** Encrypts a key that is stored in clear, or with an earlier service key. */
  async #reencrypt(kid: string, privateJwk: StoredKey): Promise<void> {
    const stored = this.storage.encrypt(privateJwk, toAssociatedData(kid));
    await this.dataSource.manager.update(SigningKey, { kid }, { privateJwk: stored as never });
    this.#logger.log(`signing key ${kid} was re-encrypted with the current service key`);
  }

  /** Creates a key that signs from `activeAt` on. */
  async add(tx: EntityManager, activeAt: Date): Promise<{ kid: string; activeAt: Date }> {
    const { privateKey } = await generateKeyPair(algorithm, { extractable: true });
    const privateJwk = await exportJWK(privateKey);
    const kid = await calculateJwkThumbprint(privateJwk);
    const stored = this.storage.encrypt({ ...privateJwk, rsa: await createRsaKey() }, toAssociatedData(kid));
    await tx.insert(SigningKey, { kid, privateJwk: stored as never, activeAt });
    return { kid, activeAt };
  }

  /** @param lock prevents concurrent additions of keys until the transaction ends */
  async read(tx: EntityManager, lock?: 'lock'): Promise<SigningKey[]> {
    if (lock) await tx.query(`SELECT pg_advisory_xact_lock(hashtextextended('signing keys', 0))`);
    return tx.find(SigningKey, { order: { activeAt: 'DESC', kid: 'ASC' } });
  }

  /** If several instances start on an empty database, one creates the key. The others wait and read it. */
  async #readOrCreate(): Promise<SigningKey[]> {
    const known = await this.read(this.dataSource.manager);
    if (known.length > 0) return known;
    return this.dataSource.transaction(async (tx) => {
      const created = await this.read(tx, 'lock');
      if (created.length > 0) return created;
      await this.add(tx, new Date());
      return this.read(tx);
    });
  }
}

async function createRsaKey(): Promise<JWK & { kid: string }> {
  const { privateKey } = await generateKeyPair(rsaAlgorithm, { extractable: true });
  const jwk = await exportJWK(privateKey);
  return { ...jwk, kid: await calculateJwkThumbprint(jwk) };
}
