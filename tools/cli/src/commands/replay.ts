import { setTimeout as pause } from 'node:timers/promises';
import { audit } from './audit.ts';
import { confirm, parseRate } from '../terminal/confirm.ts';
import { UsageError } from '../terminal/cli-error.ts';
import { printable } from '../terminal/printable.ts';
import { openState } from '../supervisor/state.ts';
import { withDatabase } from '../supervisor/store-access.ts';
import { listApps } from '../workspace.ts';

export interface ReplayOptions {
  from?: string;
  to?: string;
  yes?: boolean;
  rate?: string;
}

/** Of that time: announced then, or left in the outbox then. Commands are asked for once and never again. */
const ofThatTime = `kind = 'event' AND published_at IS NOT NULL
  AND ((created_at >= $1 AND created_at < $2) OR (published_at >= $1 AND published_at < $2))`;

/** @throws UsageFault where there is no such time */
export function parseTime(option: string, text: string): Date {
  const time = new Date(text);
  const [date, year, month, day] = /^(\d{4})-(\d\d)-(\d\d)/.exec(text) ?? [];
  // Date takes 30 February for the 1st or 2nd of March.
  const lastDay = new Date(Date.UTC(Number(year), Number(month), 0)).getUTCDate();
  if (date && !Number.isNaN(time.getTime()) && Number(day) <= lastDay) return time;
  throw new UsageError(`${option} ${text} is not a time.`, {
    remedies: [`for example:  ${option} ${new Date(Date.now() - 3_600_000).toISOString()}`],
  });
}

/**
 * Lets a service announce its events of a time again, with the ids they had: whoever handled one ignores it, whoever
 * lost it gets it. The service's own relay does the sending; here they are only marked as not yet sent, a few at a
 * time, so that what is new does not wait behind all of them.
 */
export async function replay(options: ReplayOptions, [service, ...others]: string[]): Promise<number> {
  if (!service || others.length || !options.from) {
    throw new UsageError('Name one service and a time: jogakbo replay <service> --from <time>', {
      remedies: ['npx jogakbo replay --help'],
    });
  }
  const announcers = listApps().filter(({ hasDatabase }) => hasDatabase);
  if (!announcers.some(({ name }) => name === service)) {
    throw new UsageError(`There is no service called ${service} that announces events.`, {
      remedies: [`one of ${announcers.map(({ name }) => name).join(', ')}`],
    });
  }
  const from = parseTime('--from', options.from);
  // What is marked here is marked once: events announced while this runs are not of that time.
  const to = options.to === undefined ? new Date() : parseTime('--to', options.to);
  if (from >= to) throw new UsageError('--from must be before --to (now, where it is not given).');
  const rate = parseRate(options.rate, 500);
  const state = openState();
  return withDatabase(state, service, 'jogakbo replay', async (client) => {
    const { rows } = await client.query<{ id: string; name: string }>(
      `SELECT id, name FROM outbox WHERE ${ofThatTime} ORDER BY id`,
      [from, to],
    );
    if (rows.length === 0) {
      console.log(`${service} keeps no event of that time. The outbox forgets after 7 days.`);
      return 0;
    }
    for (const [name, { length }] of Map.groupBy(rows, ({ name }) => name))
      console.log(printable(`${length} × ${name}`));
    if (!(await confirm(`Announce these ${rows.length} events of ${service} again?`, options.yes))) {
      console.log('Nothing was done.');
      return 1;
    }
    const span = { from: from.toISOString(), to: to.toISOString() };
    audit(state, { what: 'replay events', service, ...span, count: rows.length });
    const step = Math.max(1, Math.round(rate / 4));
    for (let at = 0; at < rows.length; at += step) {
      if (at > 0) await pause((step * 1_000) / rate);
      const ids = rows.slice(at, at + step).map(({ id }) => id);
      await client.query('UPDATE outbox SET published_at = NULL WHERE id = ANY($1::bigint[])', [ids]);
    }
    console.log(`${rows.length} events leave ${service} again.`);
    return 0;
  });
}
