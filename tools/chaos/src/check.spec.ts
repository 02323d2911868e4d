import { describe, expect, it } from '@jest/globals';
import { type ChaosModule } from './chaos-module.ts';
import { check } from './check.ts';
import { type Facts } from './facts.ts';

const module = {
  check: () => [],
  listSubjects: () => new Set(['thing-1']),
  isDelayed: ({ name }) => name === 'shop.expire',
  repeatable: new Set(['shop.remind']),
} as Partial<ChaosModule> as ChaosModule;

/** A service published two messages, without any fault. */
function buildFacts(): Facts {
  const row = { service: 'shop', subject: 'thing-1', open: false, at: 1 };
  return {
    at: 1_000_000,
    sagas: [{ name: 'lending', key: 'thing-1', steps: ['shop.made', 'shop.sold'], ended: true }],
    rebuilt: [{ service: 'shop', name: 'list', rows: 1, differ: [] }],
    outbox: [
      { ...row, id: 1, messageId: 'a', name: 'shop.made' },
      { ...row, id: 2, messageId: 'b', name: 'shop.sold' },
    ],
    queues: [{ name: 'shop.events', messages: 0, unacknowledged: 0 }],
    deadLetters: [],
    heard: ['a', 'b'],
    heardSince: 0,
  };
}

const findViolations = (facts: Facts) => check(module, [], facts, { lastFault: 0, isCalm: () => true });
const getRules = (facts: Facts) => findViolations(facts).map(({ rule }) => rule);

/** Publishes a message again. */
function repeat(facts: Facts, name: string): void {
  facts.outbox.push({ ...facts.outbox[1]!, id: 3, messageId: 'c', name });
  facts.outbox.push({ ...facts.outbox[1]!, id: 4, messageId: 'd', name });
  facts.heard.push('c', 'd');
}

/** A rule, and a change of the facts that breaks it. */
const breaches: [string, (facts: Facts) => void][] = [
  ['a saga ends', ({ sagas }) => (sagas[0]!.ended = false)],
  ['a saga step runs once', ({ sagas }) => sagas[0]!.steps.push('shop.made')],
  ['outboxes are empty', ({ outbox }) => (outbox[1]!.open = true)],
  ['a message marked as published reached the broker', ({ heard }) => heard.pop()],
  ['in order per subject', ({ heard }) => heard.reverse()],
  ['no message is published twice', (facts) => repeat(facts, 'shop.sold')],
  ['queues are empty', ({ queues }) => (queues[0]!.unacknowledged = 1)],
  ['queues are empty', ({ queues }) => (queues[0]!.messages = 1)],
  ['queues are empty', ({ queues }) => (queues[0] = { name: 'shop.dead', messages: 1, unacknowledged: 0 })],
  [
    'no dead letters',
    ({ deadLetters }) =>
      deadLetters.push({ queue: 'shop.dead', pattern: 'x', cause: 'y', payload: 'about thing-1' }),
  ],
  ['a rebuilt read model is identical', ({ rebuilt }) => rebuilt[0]!.differ.push('row {}')],
  ['a rebuilt read model is identical', ({ rebuilt }) => (rebuilt[0]!.fault = 'TypeError')],
];

describe('the check of the platform', () => {
  it('finds no violation in a correct run', () => expect(getRules(buildFacts())).toEqual([]));

  it.each(breaches)('finds a breach of: %s', (rule, breach) => {
    const facts = buildFacts();
    breach(facts);
    expect(getRules(facts)).toContain(rule);
  });

  it('reports a dead letter for the subject in it', () => {
    const facts = buildFacts();
    facts.deadLetters.push({ queue: 'shop.dead', pattern: 'x', cause: 'y', payload: 'about thing-1' });
    expect(findViolations(facts).map(({ subject }) => subject)).toEqual(['thing-1']);
  });

  it('allows repeatable messages twice, and delayed messages in any order', () => {
    const facts = buildFacts();
    repeat(facts, 'shop.remind');
    facts.outbox.push({ ...facts.outbox[1]!, id: 5, messageId: 'e', name: 'shop.expire' });
    facts.heard.unshift('e');
    expect(getRules(facts)).toEqual([]);
  });
});
