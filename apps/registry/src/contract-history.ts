import type { ServiceDescription } from '@jogakbo/contract';
import type { ContractVersion } from '@jogakbo/contracts-registry';
import { Injectable, Logger } from '@nestjs/common';
import { DataSource } from 'typeorm';

/** A contract that was heard. */
export interface AnnouncedContract {
  service: string;
  version: string;
  hash: string;
  upstream: 'bus' | 'http';
  contract: ServiceDescription;
  /** The start of the newest instance that speaks it. */
  startedAt: string;
}

interface Row {
  version: string;
  hash: string;
  first_seen: Date;
  last_seen: Date;
}

/** How many contracts of a service are kept: what a service outside calls its versions is not the store's to choose. */
const mostKept = { bus: 200, http: 20 };

/** SQLSTATE class 22: a value that cannot be kept, such as a text with NUL. */
const isDataException = (error: unknown): boolean =>
  String((error as { code?: unknown }).code).startsWith('22');

/** What the last versions of each service spoke, and when; written by whichever replica hears it. */
@Injectable()
export class ContractHistory {
  readonly #logger = new Logger('ContractHistory');
  /** To be written, the last one for each contract. */
  readonly #pending = new Map<string, AnnouncedContract>();
  #writing: Promise<void> | undefined;

  constructor(private readonly dataSource: DataSource) {}

  /** Never throws: who is there does not depend on the database. What is missed is noted the next time. */
  note(spoken: AnnouncedContract[]): Promise<void> {
    for (const one of spoken) this.#pending.set(`${one.service} ${one.version} ${one.hash}`, one);
    return (this.#writing ??= this.#write().finally(() => (this.#writing = undefined)));
  }

  async #write(): Promise<void> {
    for (const [key, one] of this.#pending) {
      this.#pending.delete(key);
      try {
        await this.#writeOne(one);
      } catch (error) {
        // What PostgreSQL cannot keep costs the others nothing; without it none can be kept.
        if (!isDataException(error)) this.#pending.clear();
        this.#logger.warn(`what ${one.service} speaks is not written down now: ${(error as Error).message}`);
      }
    }
  }

  async #writeOne({
    service,
    version,
    hash,
    upstream,
    contract,
    startedAt,
  }: AnnouncedContract): Promise<void> {
    // A clock that is ahead makes no contract the newest for good.
    const [row] = (await this.dataSource.query(
      `INSERT INTO contract_version (service, version, hash, upstream, contract, started_at)
       VALUES ($1, $2, $3, $4, $5, LEAST($6, now())) ON CONFLICT (service, version, hash) DO UPDATE
       SET last_seen = now(), started_at = GREATEST(contract_version.started_at, EXCLUDED.started_at)
       RETURNING xmax = 0 AS "isNew"`,
      [service, version, hash, upstream, JSON.stringify(contract), startedAt],
    )) as { isNew: boolean }[];
    if (!row?.isNew) return;
    await this.dataSource.query(
      `DELETE FROM contract_version WHERE service = $1 AND (version, hash) NOT IN (
         SELECT version, hash FROM contract_version WHERE service = $1
         ORDER BY last_seen DESC, started_at DESC LIMIT $2)`,
      [service, mostKept[upstream]],
    );
  }

  /** The contract of the newest instance of each of our own services, if it is not too long gone. */
  async lastOfOurs(): Promise<{ contract: ServiceDescription; startedAt: string }[]> {
    const rows = (await this.dataSource.query(
      `SELECT DISTINCT ON (service) contract, started_at FROM contract_version
       WHERE upstream = 'bus' AND last_seen > now() - interval '30 days' ORDER BY service, started_at DESC`,
    )) as { contract: ServiceDescription; started_at: Date }[];
    return rows.map(({ contract, started_at }) => ({ contract, startedAt: started_at.toISOString() }));
  }

  /** The one whose newest instance started last comes first. */
  async listVersions(service: string): Promise<ContractVersion[]> {
    const rows = (await this.dataSource.query(
      `SELECT version, hash, first_seen, last_seen FROM contract_version WHERE service = $1
       ORDER BY started_at DESC, first_seen DESC, hash`,
      [service],
    )) as Row[];
    return rows.map(({ version, hash, first_seen, last_seen }) => ({
      ...{ version, hash },
      ...{ firstSeen: first_seen.toISOString(), lastSeen: last_seen.toISOString() },
    }));
  }

  /** Of several contracts under one version, the one whose newest instance started last. */
  async findContract(
    service: string,
    version: string,
  ): Promise<(ContractVersion & { contract: ServiceDescription }) | undefined> {
    const [row] = (await this.dataSource.query(
      `SELECT version, hash, first_seen, last_seen, contract FROM contract_version
       WHERE service = $1 AND version = $2 ORDER BY started_at DESC, first_seen DESC LIMIT 1`,
      [service, version],
    )) as (Row & { contract: ServiceDescription })[];
    if (!row) return undefined;
    return {
      ...{ version, hash: row.hash },
      ...{ firstSeen: row.first_seen.toISOString(), lastSeen: row.last_seen.toISOString() },
      contract: row.contract,
    };
  }
}
