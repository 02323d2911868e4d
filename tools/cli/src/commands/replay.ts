import { setTimeout as pause } from 'node:timers/promises';
import { findPublishedEvents } from '@jogakbo/consistency/find-published-events';
import { republishMessages } from '@jogakbo/consistency/republish';
import { audit } from '../supervisor/audit-log.ts';
import { confirm, parseRate } from '../terminal/confirm.ts';
import { UsageError } from '../terminal/cli-error.ts';
import { toPrintable } from '../terminal/printable.ts';
import { openRunningState } from '../supervisor/running-state.ts';
import { withDatabase } from '../supervisor/store-access.ts';
import { listApps } from '../workspace.ts';

export interface ReplayOptions {
  from: string;
  to?: string;
  yes?: boolean;
  rate: string;
}

/** @throws UsageError if the time is invalid */
export function parseTime(option: string, text: string): Date {
  const time = new Date(text);
  const [date, year, month, day] = /^(\d{4})-(\d\d)-(\d\d)/.exec(text) ?? [];
  // Date parses 30 February as 1 or 2 March.
  const lastDay = new Date(Date.UTC(Number(year), Number(month), 0)).getUTCDate();
  if (date && !Number.isNaN(time.getTime()) && Number(day) <= lastDay) return time;
  throw new UsageError(`${option} ${text} is not a time.`, {
    remedies: [`for example:  ${option} ${new Date(Date.now() - 3_600_000).toISOString()}`],
  });
}

/**
 * Publishes the events of a time range again, with their original ids: consumers ignore events that they have handled. This
 * command only marks the events as unpublished, in small batches so that new events are not delayed. The relay of the service
 * publishes them.
 */
export async function replay(service: string, options: ReplayOptions): Promise<number> {
  const publishers = listApps().filter(({ hasDatabase }) => hasDatabase);
  if (!publishers.some(({ name }) => name === service)) {
    throw new UsageError(`There is no service called ${service} that publishes events.`, {
      remedies: [`one of ${publishers.map(({ name }) => name).join(', ')}`],
    });
  }
  const from = parseTime('--from', options.from);
  // A fixed end: events published during the replay are not replayed.
  const to = options.to === undefined ? new Date() : parseTime('--to', options.to);
  if (from >= to) throw new UsageError('--from must be before --to (default: now).');
  const rate = parseRate(options.rate);
  const state = openRunningState();
  return withDatabase(state, service, 'jogakbo replay', async (client) => {
    const events = await findPublishedEvents(client, from, to);
    if (events.length === 0) {
      console.log(`The outbox of ${service} has no event of that time. It keeps events for 7 days.`);
      return 0;
    }
    for (const [name, { length }] of Map.groupBy(events, ({ name }) => name))
      console.log(toPrintable(`${length} × ${name}`));
    if (!(await confirm(`Publish these ${events.length} events of ${service} again?`, options.yes))) {
      console.log('Nothing was changed.');
      return 1;
    }
    const span = { from: from.toISOString(), to: to.toISOString() };
    audit(state, { what: 'replay events', service, ...span, count: events.length });
    const step = Math.max(1, Math.round(rate / 4));
    for (let at = 0; at < events.length; at += step) {
      if (at > 0) await pause((step * 1_000) / rate);
      const ids = events.slice(at, at + step).map(({ id }) => id);
      await republishMessages(client, ids);
    }
    console.log(`${service} publishes ${events.length} events again.`);
    return 0;
  });
}
