import type { ServiceDescription } from '@jogakbo/contract';
import type { ContractVersion } from '@jogakbo/contracts-registry';
import { Injectable, Logger } from '@nestjs/common';
import { DataSource } from 'typeorm';

/** A contract that was announced. */
export interface AnnouncedContract {
  service: string;
  version: string;
  hash: string;
  upstream: 'bus' | 'http';
  contract: ServiceDescription;
  /** Start time of the newest instance with this contract. */
  startedAt: string;
}

interface Row {
  version: string;
  hash: string;
  first_seen: Date;
  last_seen: Date;
}

const toVersion = ({ version, hash, first_seen, last_seen }: Row): ContractVersion => ({
  version,
  hash,
  firstSeen: first_seen.toISOString(),
  lastSeen: last_seen.toISOString(),
});

/** Contracts kept per service; fewer for external services, which choose version names freely. */
const maxVersions = { bus: 200, http: 20 };

/** SQLSTATE class 22: a value that PostgreSQL cannot store, such as a text with NUL. */
const isDataException = (error: unknown): boolean =>
  String((error as { code?: unknown }).code).startsWith('22');

/** The last contracts of each service with their times. Every replica writes those that it receives. */
@Injectable()
export class ContractHistory {
  readonly #logger = new Logger('ContractHistory');
  /** Latest unwritten entry per contract. */
  readonly #pending = new Map<string, AnnouncedContract>();
  #writing: Promise<void> | undefined;

  constructor(private readonly dataSource: DataSource) {}

  /** Never throws, because discovery must not depend on the database. Missed entries are recorded the next time. */
  record(contracts: AnnouncedContract[]): Promise<void> {
    for (const one of contracts) this.#pending.set(`${one.service} ${one.version} ${one.hash}`, one);
    return (this.#writing ??= this.#write().finally(() => (this.#writing = undefined)));
  }

  async #write(): Promise<void> {
    for (const [key, one] of this.#pending) {
      this.#pending.delete(key);
      try {
        await this.#writeOne(one);
      } catch (error) {
        // Other errors, such as an unreachable database, affect every entry.
        if (!isDataException(error)) this.#pending.clear();
        this.#logger.warn(`cannot record the contract of ${one.service} now: ${(error as Error).message}`);
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
    // LEAST: a clock that is ahead must not make a contract the newest forever.
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
      [service, maxVersions[upstream]],
    );
  }

  /** The newest contract of each service of the store that was seen in the last 30 days. */
  async findNewestOwn(): Promise<{ contract: ServiceDescription; startedAt: string }[]> {
    const rows = (await this.dataSource.query(
      `SELECT DISTINCT ON (service) contract, started_at FROM contract_version
       WHERE upstream = 'bus' AND last_seen > now() - interval '30 days' ORDER BY service, started_at DESC`,
    )) as { contract: ServiceDescription; started_at: Date }[];
    return rows.map(({ contract, started_at }) => ({ contract, startedAt: started_at.toISOString() }));
  }

  /** Ordered by the start of the newest instance, latest first. */
  async listVersions(service: string): Promise<ContractVersion[]> {
    const rows = (await this.dataSource.query(
      `SELECT version, hash, first_seen, last_seen FROM contract_version WHERE service = $1
       ORDER BY started_at DESC, first_seen DESC, hash`,
      [service],
    )) as Row[];
    return rows.map(toVersion);
  }

  /** Every version that announced a contract, latest first, and the contract itself. */
  async findByHash(
    service: string,
    hash: string,
  ): Promise<{ versions: ContractVersion[]; contract: ServiceDescription } | undefined> {
    const rows = (await this.dataSource.query(
      `SELECT version, hash, first_seen, last_seen, contract FROM contract_version
       WHERE service = $1 AND hash = $2 ORDER BY started_at DESC, first_seen DESC`,
      [service, hash],
    )) as (Row & { contract: ServiceDescription })[];
    const [newest] = rows;
    return newest && { versions: rows.map(toVersion), contract: newest.contract };
  }

  /** Of several contracts with one version, the one with the latest start of an instance. */
  async findContract(
    service: string,
    version: string,
  ): Promise<(ContractVersion & { contract: ServiceDescription }) | undefined> {
    const [row] = (await this.dataSource.query(
      `SELECT version, hash, first_seen, last_seen, contract FROM contract_version
       WHERE service = $1 AND version = $2 ORDER BY started_at DESC, first_seen DESC LIMIT 1`,
      [service, version],
    )) as (Row & { contract: ServiceDescription })[];
    return row && { ...toVersion(row), contract: row.contract };
  }
}
