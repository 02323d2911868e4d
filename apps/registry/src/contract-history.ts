import type { ServiceDescription } from '@jogakbo/contract';
import type { ContractVersion } from '@jogakbo/contracts-registry';
import { Injectable, Logger } from '@nestjs/common';
import { DataSource } from 'typeorm';

/** A contract that was heard. */
export interface Spoken {
  service: string;
  version: string;
  hash: string;
  upstream: 'bus' | 'http';
  contract: ServiceDescription;
}

interface Row {
  version: string;
  hash: string;
  first_seen: Date;
  last_seen: Date;
}

/** What each version of each service spoke, and when: kept for good, by whichever replica hears it. */
@Injectable()
export class ContractHistory {
  readonly #logger = new Logger('ContractHistory');

  constructor(private readonly dataSource: DataSource) {}

  /** Never throws: who is there does not depend on the database. What is missed is noted the next time. */
  async note(spoken: Spoken[]): Promise<void> {
    try {
      for (const { service, version, hash, upstream, contract } of spoken) {
        await this.dataSource.query(
          `INSERT INTO contract_version (service, version, hash, upstream, contract) VALUES ($1, $2, $3, $4, $5)
           ON CONFLICT (service, version, hash) DO UPDATE SET last_seen = now()`,
          [service, version, hash, upstream, JSON.stringify(contract)],
        );
      }
    } catch (error) {
      this.#logger.warn(`what services speak is not written down now: ${(error as Error).message}`);
    }
  }

  /** What each of our own services spoke last, if that is not too long ago. */
  async lastOfOurs(): Promise<ServiceDescription[]> {
    const rows = (await this.dataSource.query(
      `SELECT DISTINCT ON (service) contract FROM contract_version
       WHERE upstream = 'bus' AND last_seen > now() - interval '30 days' ORDER BY service, last_seen DESC`,
    )) as { contract: ServiceDescription }[];
    return rows.map(({ contract }) => contract);
  }

  /** The one that was seen last comes first. */
  async versionsOf(service: string): Promise<ContractVersion[]> {
    const rows = (await this.dataSource.query(
      `SELECT version, hash, first_seen, last_seen FROM contract_version WHERE service = $1
       ORDER BY last_seen DESC, first_seen DESC, hash`,
      [service],
    )) as Row[];
    return rows.map(({ version, hash, first_seen, last_seen }) => ({
      ...{ version, hash },
      ...{ firstSeen: first_seen.toISOString(), lastSeen: last_seen.toISOString() },
    }));
  }

  /** Of several contracts under one version, the one that was seen last. */
  async contractOf(
    service: string,
    version: string,
  ): Promise<(ContractVersion & { contract: ServiceDescription }) | undefined> {
    const [row] = (await this.dataSource.query(
      `SELECT version, hash, first_seen, last_seen, contract FROM contract_version
       WHERE service = $1 AND version = $2 ORDER BY last_seen DESC, first_seen DESC LIMIT 1`,
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
