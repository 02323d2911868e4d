import { Injectable, Logger, type OnApplicationBootstrap, type OnApplicationShutdown } from '@nestjs/common';
import { DataSource, LessThan } from 'typeorm';
import { AuditEntry } from './audit.ts';
import { RefreshToken, Session } from './session.ts';

const auditRetentionMs = 365 * 24 * 60 * 60 * 1_000;

/** Deletes expired records once an hour. */
@Injectable()
export class ExpiredSessions implements OnApplicationBootstrap, OnApplicationShutdown {
  readonly #logger = new Logger('ExpiredSessions');
  #timer: NodeJS.Timeout;
  #deleting: Promise<void>;

  constructor(private readonly dataSource: DataSource) {}

  onApplicationBootstrap(): void {
    const run = () => {
      this.#deleting = this.deleteExpired().catch((error: Error) => this.#logger.warn(error.message));
    };
    run();
    this.#timer = setInterval(run, 3_600_000).unref();
  }

  /** Deletes tokens by their own expiry, and sessions by that of their newest token. */
  async deleteExpired(): Promise<void> {
    const expired = { expiresAt: LessThan(new Date()) };
    await this.dataSource.manager.delete(RefreshToken, expired);
    await this.dataSource.manager.delete(Session, expired);
    await this.dataSource.query('DELETE FROM revocation WHERE until < now()');
    await this.dataSource.query('DELETE FROM openid_record WHERE expires_at < now()');
    await this.dataSource.query('DELETE FROM sign_in_failures WHERE until < now()');
    await this.dataSource.query('DELETE FROM sign_up_mails WHERE until < now()');
    await this.dataSource.query(`DELETE FROM known_address WHERE last_seen < now() - interval '180 days'`);
    await this.dataSource.manager.delete(AuditEntry, {
      at: LessThan(new Date(Date.now() - auditRetentionMs)),
    });
  }

  async onApplicationShutdown(): Promise<void> {
    clearInterval(this.#timer);
    await this.#deleting;
  }
}
