import { type Violation } from './check.ts';
import { type Facts, type OutboxFact } from './facts.ts';

/** Leaves when it is due, and not in order. Payments sends itself again what has to wait for other calls of the member. */
const isDelayed = ({ service, name }: { service: string; name: string }): boolean =>
  name === 'inventory.expire-reservation' ||
  (service === 'payments' && /^payments\.(authorize|capture|return)-payment$/.test(name));

/** May rightly be said more than once of one order. */
const repeatable = new Set(['payments.return-payment']);

/** That what was to be said was said, once, in order; and that nothing lies about. */
export function checkMessages({
  outbox,
  queues,
  deadLetters,
  heard,
  heardSince,
  orders,
}: Facts): Violation[] {
  const violations: Violation[] = [];
  const say = (rule: string, says: string, orderId?: string | null) =>
    violations.push({ rule, says, ...(orderId && { orderId }) });
  const position = new Map(heard.map((messageId, index) => [messageId, index]));

  for (const row of outbox) {
    const { service, id, name, subject, open, messageId, at } = row;
    if (open) say('outboxes are empty', `${service} keeps ${name} (${id})`, subject);
    else if (at > heardSince && !isDelayed(row) && !position.has(messageId))
      say(
        'what is marked published was published',
        `${service}: ${name} (${id}) never reached the broker`,
        subject,
      );
  }

  const orderIds = new Set(orders.map(({ orderId }) => orderId));
  // What goes to different services lies in different queues, where nothing can be said of its order.
  const said = Map.groupBy(
    outbox.filter((row) => row.subject && !isDelayed(row)),
    ({ service, name, subject }) => `${service} to ${name.split('.')[0]} about ${subject}`,
  );
  for (const rows of said.values()) {
    const turned = inversion(rows, position);
    if (turned)
      say(
        'in order per subject',
        `${turned[1].name} (${turned[1].id}) overtook ${turned[0].name} (${turned[0].id})`,
        turned[0].subject,
      );
    if (!orderIds.has(rows[0]!.subject!)) continue;
    for (const [name, times] of Map.groupBy(rows, (row) => row.name)) {
      if (times.length > 1 && !repeatable.has(name))
        say(
          'nothing is said twice',
          `${rows[0]!.service} said ${name} ${times.length} times`,
          rows[0]!.subject,
        );
    }
  }

  for (const { name, messages, unacknowledged } of queues) {
    if (name.endsWith('.dead') ? messages > 0 : messages > 0 || unacknowledged > 0)
      say('queues are empty', `${name} holds ${messages} messages, ${unacknowledged} of them unacknowledged`);
  }
  for (const { queue, pattern, cause, payload } of deadLetters) {
    const orderId = [...orderIds].find((id) => payload.includes(id));
    say('nothing is dead', `${queue}: ${pattern}: ${cause}`, orderId);
  }
  return violations;
}

/** The first two that the broker had the other way round. */
function inversion(rows: OutboxFact[], position: Map<string, number>): [OutboxFact, OutboxFact] | undefined {
  let last: OutboxFact | undefined;
  for (const row of rows.filter(({ messageId }) => position.has(messageId))) {
    if (last && position.get(row.messageId)! < position.get(last.messageId)!) return [last, row];
    last = row;
  }
  return undefined;
}
