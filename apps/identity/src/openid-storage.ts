import { createHash } from 'node:crypto';
import type { Adapter, AdapterPayload, errors } from 'oidc-provider';
import type { DataSource } from 'typeorm';

/** Models whose id is the very token that a client holds: kept by its hash. The others are found by more than their id. */
const tokens = ['AccessToken', 'AuthorizationCode', 'RefreshToken'];

/** What oidc-provider remembers, in the database of identity. */
export class OpenIdStorage implements Adapter {
  readonly #isToken: boolean;

  constructor(
    private readonly dataSource: DataSource,
    private readonly model: string,
    private readonly InvalidGrant: typeof errors.InvalidGrant,
  ) {
    this.#isToken = tokens.includes(model);
  }

  async upsert(id: string, { jti, ...payload }: AdapterPayload, expiresIn = 3_600): Promise<void> {
    const kept = this.#isToken ? payload : { ...payload, jti };
    await this.dataSource.query(
      `INSERT INTO openid_record (model, id, payload, expires_at) VALUES ($1, $2, $3, now() + $4 * interval '1 second')
       ON CONFLICT (model, id) DO UPDATE SET payload = excluded.payload, expires_at = excluded.expires_at`,
      [this.model, this.#key(id), JSON.stringify(kept), expiresIn],
    );
  }

  async find(id: string): Promise<AdapterPayload | undefined> {
    const found = await this.#find('id', this.#key(id));
    return found && this.#isToken ? { ...found, jti: id } : found;
  }

  findByUid(uid: string): Promise<AdapterPayload | undefined> {
    return this.#find('uid', uid);
  }

  /** Codes that are typed in on another device are not offered. */
  findByUserCode(): Promise<undefined> {
    return Promise.resolve(undefined);
  }

  /** Of two that use a code or a refresh token at the same moment, one does. @throws InvalidGrant for the other */
  async consume(id: string): Promise<void> {
    const [, affected] = await this.dataSource.query<[unknown, number]>(
      'UPDATE openid_record SET consumed_at = now() WHERE model = $1 AND id = $2 AND consumed_at IS NULL',
      [this.model, this.#key(id)],
    );
    if (affected !== 1) throw new this.InvalidGrant('used already');
  }

  async destroy(id: string): Promise<void> {
    await this.dataSource.query('DELETE FROM openid_record WHERE model = $1 AND id = $2', [
      ...[this.model, this.#key(id)],
    ]);
  }

  async revokeByGrantId(grantId: string): Promise<void> {
    await this.dataSource.query('DELETE FROM openid_record WHERE grant_id = $1 AND model = ANY($2)', [
      ...[grantId, tokens],
    ]);
  }

  #key(id: string): string {
    return this.#isToken ? createHash('sha256').update(id).digest('base64url') : id;
  }

  async #find(column: 'id' | 'uid', value: string): Promise<AdapterPayload | undefined> {
    const [found] = await this.dataSource.query<{ payload: AdapterPayload; consumed: number | null }[]>(
      `SELECT payload, extract(epoch FROM consumed_at)::int AS consumed FROM openid_record
       WHERE model = $1 AND ${column} = $2 AND expires_at > now()`,
      [this.model, value],
    );
    return found && { ...found.payload, ...(found.consumed !== null && { consumed: found.consumed }) };
  }
}
