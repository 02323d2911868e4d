import { describe, expect, it } from '@jest/globals';
import { type ConsumeMessage } from 'amqplib';
import {
  replaceData,
  toDeadLetter,
  findGroups,
  groupLetters,
  buildResendHeaders,
  findLetter,
  assignKeys,
} from './dead-letter.ts';

const letter = (messageId: string | undefined, data: unknown = 1, service = 'loans') =>
  toDeadLetter(service, {
    content: Buffer.from(JSON.stringify({ pattern: 'loans.place-loan', data })),
    fields: {},
    properties: { messageId, headers: {} },
  } as unknown as ConsumeMessage);

describe('findLetter', () => {
  const letters = [letter('ab-12'), letter('ab-1'), letter('ab-2')];

  it('prefers the exact id to a longer one with the same prefix', () => {
    expect(findLetter(letters, 'ab-1')).toBe(letters[1]);
  });

  it('accepts a unique prefix of an id', () => {
    expect(findLetter(letters, 'ab-12')).toBe(letters[0]);
    expect(findLetter(letters, 'ab-2')).toBe(letters[2]);
  });

  it('rejects ids that match no letter or several', () => {
    expect(() => findLetter(letters, 'x')).toThrow('no dead letter x');
    expect(() => findLetter(letters, 'ab')).toThrow('matches 3 dead letters');
    expect(() => findLetter([letter('ab-1'), letter('ab-1', 1, 'search')], 'ab-1')).toThrow('matches 2');
  });
});

describe('a letter that is not UTF-8', () => {
  const broken = Buffer.concat([
    Buffer.from('{"pattern":"loans.place-loan","data":"'),
    ...[Buffer.from([0xb0, 0xa1]), Buffer.from('"}')],
  ]);

  it('has no type, and its body is replaced as a whole', () => {
    const properties = { headers: {} };
    const { type } = toDeadLetter('loans', { content: broken, properties } as unknown as ConsumeMessage);
    expect(type).toBeUndefined();
    expect(replaceData(broken, { quantity: 1 }).toString()).toBe('{"quantity":1}');
  });
});

describe('letters with the same id', () => {
  const twins = [letter('ab-1', 'first'), letter('ab-2'), letter('ab-1', 'second')];
  assignKeys(twins);

  it('get unique keys, in the order of the queue', () => {
    expect(twins.map(({ key }) => key)).toEqual(['ab-1', 'ab-2', 'ab-1~2']);
    expect(findLetter(twins, 'ab-1').data).toBe('first');
    expect(findLetter(twins, 'ab-1~2').data).toBe('second');
  });
});

describe('a group', () => {
  const failed = (cause: string, at: string) => ({ ...letter(at), cause, firstFailedAt: at });

  it('keeps its id when other groups change, and when ids in its cause differ', () => {
    const old = failed('Error: no book 17', '2026-01-01');
    const [alone] = groupLetters([old]);
    const many = groupLetters([
      failed('Error: another', '2025-01-01'),
      old,
      failed('Error: no book 4', '2026-02-01'),
    ]);
    expect(alone!.id).toMatch(/^[0-9a-f]{6}$/);
    expect(findGroups(many, alone!.id).flatMap(({ letters }) => letters)).toHaveLength(2);
  });
});

describe('a letter without an id', () => {
  it('is named by its content', () => {
    expect(letter(undefined).id).toMatch(/^sha-[0-9a-f]{16}$/);
    expect(letter('').id).toBe(letter(undefined).id);
    expect(letter(undefined, 2).id).not.toBe(letter(undefined, 1).id);
  });
});

describe('a letter with forged broker headers', () => {
  it.each([
    ...['x', 5, null, {}, [null], ['x'], [{ queue: 5, reason: {} }]],
    ...[[{ time: 'x' }], [{ time: { value: 1e300 } }], [{ queue: 'a', time: { value: 'x' } }]],
  ])('is still parsed: %j', (death) => {
    const properties = { headers: { 'x-death': death, failures: {}, 'first-failed-at': 5 }, messageId: {} };
    const letter = toDeadLetter('loans', {
      ...{ content: Buffer.from('{}'), fields: {}, properties },
    } as unknown as ConsumeMessage);
    expect(letter).toMatchObject({ cause: expect.stringContaining('dead-lettered by the broker') });
    expect(buildResendHeaders(letter, 'operator')).toMatchObject({ 'replayed-for': 'loans' });
  });
});

describe('an encrypted letter', () => {
  const content = (more: object) => ({
    ...{
      content: Buffer.from(JSON.stringify({ pattern: 'identity.sign-in', data: 'eyJ.a.b.c.d', ...more })),
    },
    ...{ fields: {}, properties: { messageId: 'ab-1', headers: {} } },
  });
  const read = (more: object) => toDeadLetter('identity', content(more) as unknown as ConsumeMessage);

  it('has its type and is flagged as encrypted', () => {
    expect(read({ datacontenttype: 'application/jose' })).toMatchObject({
      ...{ type: 'identity.sign-in', data: 'eyJ.a.b.c.d', encrypted: true },
    });
    expect(read({}).encrypted).toBe(false);
  });
});

describe('a letter rejected because of its sender', () => {
  it('takes cause, queue and time from the broker, not from headers of the sender', () => {
    const time = { value: Date.parse('2026-01-02T03:04:05Z') / 1_000 };
    const forged = { cause: 'Error: out of memory', queue: 'loans.events', failures: 6, stack: 'at x' };
    const letter = (userId: string | undefined) =>
      toDeadLetter(
        'renewals',
        {
          ...{ content: Buffer.from('{}'), fields: {} },
          properties: {
            userId,
            headers: { ...forged, 'x-death': [{ queue: 'renewals.commands', reason: 'rejected', time }] },
          },
        } as unknown as ConsumeMessage,
        'operator',
      );
    expect(letter('search')).toMatchObject({
      ...{ cause: 'UnauthorizedSender: search may not send it', queue: 'renewals.commands', failures: 1 },
      ...{ firstFailedAt: '2026-01-02T03:04:05.000Z', stack: undefined },
    });
    expect(letter('operator').cause).toBe('UnauthorizedSender: its first sender may not send it');
    expect(letter(undefined).cause).toBe('UnauthorizedSender: a login that is not known may not send it');
  });
});

describe('a letter resent by an operator', () => {
  /** The headers of a dead letter of renewals that this login published. */
  const sentOn = (userId: string | undefined, headers: object) =>
    buildResendHeaders(
      toDeadLetter('renewals', {
        ...{ content: Buffer.from('{}'), fields: {}, properties: { userId, headers } },
      } as unknown as ConsumeMessage),
      'operator',
    );
  const marked = { sender: 'loans', mark: 'AAAA' };

  it('is addressed to the service of its dead-letter queue, which verifies its mark', () => {
    const caller = { caller: '{}' };
    expect(sentOn('renewals', { ...marked, ...caller })).toEqual({
      ...{ ...marked, ...caller, 'replayed-for': 'renewals' },
    });
  });

  it('has the publishing login as sender, not the mark or sender of its headers', () => {
    for (const headers of [marked, { sender: 'loans' }, { ...marked, 'replayed-for': 'renewals' }])
      expect(sentOn('search', headers)).toEqual({ sender: 'search', 'replayed-for': 'renewals' });
    expect(sentOn(undefined, marked)).toEqual({ sender: '', 'replayed-for': 'renewals' });
  });

  it('keeps edit headers only from an operator, for this service', () => {
    const edit = { 'edited-from': 'x', 'edited-by': 'ann', 'edited-at': 'then' };
    for (const login of ['renewals', 'search'])
      expect(Object.keys(sentOn(login, { ...marked, ...edit, 'replayed-for': 'renewals' }))).not.toContain(
        'edited-from',
      );
    expect(sentOn('operator', { ...marked, ...edit, 'replayed-for': 'renewals' })).toMatchObject(edit);
    expect(sentOn('operator', { ...marked, ...edit, 'replayed-for': 'search' })).not.toHaveProperty(
      'edited-from',
    );
  });

  it('keeps a sender stated by an operator for this service only', () => {
    expect(sentOn('operator', { sender: 'loans', 'replayed-for': 'renewals' })).toMatchObject({
      sender: 'loans',
    });
    expect(sentOn('operator', { sender: 'loans', 'replayed-for': 'search' })).toMatchObject({ sender: '' });
    expect(sentOn('operator', { 'replayed-for': 'search' })).toMatchObject({ sender: '' });
    expect(sentOn('operator', {})).toMatchObject({ sender: 'operator' });
  });

  it('has no sender if a queue of another service held it before', () => {
    const from = (...queues: string[]) => ({ 'x-death': queues.map((queue) => ({ queue })) });
    expect(sentOn('chapters', from('renewals.events', 'retry.500ms', 'renewals.commands@2'))).toMatchObject({
      ...{ sender: 'chapters' },
    });
    expect(sentOn('chapters', from('hearing.search.1', 'renewals.events'))).toMatchObject({ sender: '' });
  });

  it('drops CC and BCC headers', () => {
    expect(sentOn('renewals', { ...marked, CC: ['loans.commands'], BCC: ['x'] })).toEqual({
      ...{ ...marked, 'replayed-for': 'renewals' },
    });
  });
});
