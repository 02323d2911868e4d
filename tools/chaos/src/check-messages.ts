import { type ChaosModule } from './chaos-module.ts';
import { type Violation } from './violation.ts';
import { type Facts, type OutboxFact } from './facts.ts';

/** Checks that every message was published once and in order, and that outboxes and queues are empty. */
export function checkMessages(facts: Facts, module: ChaosModule): Violation[] {
  const { outbox, queues, deadLetters, heard, heardSince } = facts;
  const { isDelayed, repeatable } = module;
  const violations: Violation[] = [];
  const report = (rule: string, detail: string, subject?: string | null) =>
    violations.push({ rule, detail, ...(subject && { subject }) });
  const position = new Map(heard.map((messageId, index) => [messageId, index]));

  for (const row of outbox) {
    const { service, id, name, subject, open, messageId, at } = row;
    if (open) report('outboxes are empty', `${service} has not published ${name} (${id})`, subject);
    else if (at > heardSince && !isDelayed(row) && !position.has(messageId))
      report(
        'a message marked as published reached the broker',
        `${service}: ${name} (${id}) never reached the broker`,
        subject,
      );
  }

  const subjects = module.listSubjects(facts);
  // Order is guaranteed only among messages to the same service, because each service has its own queues.
  const sequences = Map.groupBy(
    outbox.filter((row) => row.subject && !isDelayed(row)),
    ({ service, name, subject }) => `${service} to ${name.split('.')[0]} about ${subject}`,
  );
  for (const rows of sequences.values()) {
    const inversion = findInversion(rows, position);
    if (inversion)
      report(
        'in order per subject',
        `${inversion[1].name} (${inversion[1].id}) was published before ${inversion[0].name} (${inversion[0].id})`,
        inversion[0].subject,
      );
    if (!subjects.has(rows[0]!.subject!)) continue;
    for (const [name, times] of Map.groupBy(rows, (row) => row.name)) {
      if (times.length > 1 && !repeatable.has(name))
        report(
          'no message is published twice',
          `${rows[0]!.service} published ${name} ${times.length} times`,
          rows[0]!.subject,
        );
    }
  }

  for (const { name, messages, unacknowledged } of queues) {
    if (name.endsWith('.dead') ? messages > 0 : messages > 0 || unacknowledged > 0)
      report(
        'queues are empty',
        `${name} holds ${messages} messages, ${unacknowledged} of them unacknowledged`,
      );
  }
  for (const { queue, pattern, cause, payload } of deadLetters) {
    const subject = [...subjects].find((id) => payload.includes(id));
    report('no dead letters', `${queue}: ${pattern}: ${cause}`, subject);
  }
  return violations;
}

/** @returns the first two messages that reached the broker in the wrong order */
function findInversion(
  rows: OutboxFact[],
  position: Map<string, number>,
): [OutboxFact, OutboxFact] | undefined {
  let last: OutboxFact | undefined;
  for (const row of rows.filter(({ messageId }) => position.has(messageId))) {
    if (last && position.get(row.messageId)! < position.get(last.messageId)!) return [last, row];
    last = row;
  }
  return undefined;
}
