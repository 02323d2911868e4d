import { ListRevocations } from '@jogakbo/contracts-identity';
import { Handles } from '@jogakbo/messaging';
import { Controller } from '@nestjs/common';
import { DataSource } from 'typeorm';

/** About 2 MB in one message. */
const maxListed = 20_000;

interface Row {
  member_id: string;
  session_id: string | null;
  generation: number | null;
  until: Date;
}

@Controller()
export class ListRevocationsHandler {
  constructor(private readonly dataSource: DataSource) {}

  /** Called by a gateway after start or after missed events. */
  @Handles(ListRevocations)
  async handle() {
    const rows = await this.dataSource.query<Row[]>(
      `SELECT member_id, session_id, generation, until FROM revocation WHERE until > now()
       ORDER BY until DESC LIMIT $1`,
      [maxListed + 1],
    );
    const revocations = rows.slice(0, maxListed).map((row) => ({
      memberId: row.member_id,
      ...(row.session_id && { sessionId: row.session_id }),
      ...(row.generation && { generation: row.generation }),
      until: row.until.toISOString(),
    }));
    return { revocations, revokedUntil: rows[maxListed]?.until.toISOString() ?? null };
  }
}
