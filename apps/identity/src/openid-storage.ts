import { createHash } from 'node:crypto';
import type { Encrypted, StorageEncryption } from '@jogakbo/consistency';
import type { Adapter, AdapterPayload, errors } from 'oidc-provider';
import type { DataSource } from 'typeorm';

/** Models whose id is a token: only its hash is stored. */
const tokens = ['AccessToken', 'AuthorizationCode', 'RefreshToken'];
/** Models whose id is in a cookie: found by its hash. The id is stored encrypted, for lookups by `uid`. */
const cookies = ['Session', 'Interaction'];

/** Stores the models of oidc-provider in the database of identity. */
export class OpenIdStorage implements Adapter {
  readonly #isToken: boolean;
  readonly #isHashed: boolean;

  constructor(
    private readonly dataSource: DataSource,
    private readonly storage: StorageEncryption,
    private readonly model: string,
    private readonly InvalidGrant: typeof errors.InvalidGrant,
    /** Grace period in seconds: a used refresh token counts as unused. */
    private readonly refreshGrace: () => number,
  ) {
    this.#isToken = tokens.includes(model);
    this.#isHashed = this.#isToken || cookies.includes(model);
  }

  async upsert(id: string, { jti, ...payload }: AdapterPayload, expiresIn = 3_600): Promise<void> {
    const key = this.#key(id);
    const { uid, grantId, accountId } = payload;
    const encrypted = this.storage.encrypt(
      this.#isToken ? payload : { ...payload, jti },
      this.#toAssociatedData(key),
    );
    await this.dataSource.query(
      `INSERT INTO openid_record (model, id, payload, expires_at) VALUES ($1, $2, $3, now() + $4 * interval '1 second')
       ON CONFLICT (model, id) DO UPDATE SET payload = excluded.payload, expires_at = excluded.expires_at`,
      [this.model, key, JSON.stringify({ uid, grantId, accountId, ...encrypted }), expiresIn],
    );
  }

  async find(id: string): Promise<AdapterPayload | undefined> {
    const found = await this.#find('id', this.#key(id));
    return found && this.#isToken ? { ...found, jti: id } : found;
  }

  findByUid(uid: string): Promise<AdapterPayload | undefined> {
    return this.#find('uid', uid);
  }

  /** The device flow (RFC 8628) is not supported. */
  findByUserCode(): Promise<undefined> {
    return Promise.resolve(undefined);
  }

  /**
   * Marks a record as used. Of two concurrent uses of a code one succeeds. A refresh token may be reused within the grace
   * period after its first use. @throws InvalidGrant
   */
  async consume(id: string): Promise<void> {
    const [, affected] = await this.dataSource.query<[unknown, number]>(
      `UPDATE openid_record SET consumed_at = coalesce(consumed_at, now()) WHERE model = $1 AND id = $2
       AND (consumed_at IS NULL OR consumed_at > now() - $3 * interval '1 second')`,
      [this.model, this.#key(id), this.#grace],
    );
    if (affected !== 1) throw new this.InvalidGrant('already used');
  }

  async destroy(id: string): Promise<void> {
    await this.dataSource.query('DELETE FROM openid_record WHERE model = $1 AND id = $2', [
      this.model,
      this.#key(id),
    ]);
  }

  async revokeByGrantId(grantId: string): Promise<void> {
    await this.dataSource.query('DELETE FROM openid_record WHERE grant_id = $1 AND model = ANY($2)', [
      grantId,
      tokens,
    ]);
  }

  #key(id: string): string {
    return this.#isHashed ? createHash('sha256').update(id).digest('base64url') : id;
  }

  get #grace(): number {
    return this.model === 'RefreshToken' ? this.refreshGrace() : 0;
  }

  #toAssociatedData(key: string): string {
    return `openid ${this.model} ${key}`;
  }

  async #find(column: 'id' | 'uid', value: string): Promise<AdapterPayload | undefined> {
    const [found] = await this.dataSource.query<
      { id: string; payload: Encrypted; consumed: number | null }[]
    >(
      `SELECT id, payload,
         CASE WHEN consumed_at <= now() - $3 * interval '1 second'
           THEN extract(epoch FROM consumed_at)::int END AS consumed
       FROM openid_record WHERE model = $1 AND ${column} = $2 AND expires_at > now()`,
      [this.model, value, this.#grace],
    );
    if (!found) return undefined;
    // Beside the plain fields that the database looks up.
    const { encrypted } = found.payload;
    const payload = this.storage.decrypt({ encrypted }, this.#toAssociatedData(found.id)) as AdapterPayload;
    return { ...payload, ...(found.consumed !== null && { consumed: found.consumed }) };
  }
}
