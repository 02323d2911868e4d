import { describe, expect, it } from '@jest/globals';
import { type ConsumeMessage } from 'amqplib';
import {
  contentWith,
  toDeadLetter,
  groupsNamed,
  groupLetters,
  headersFromOperator,
  letterNamed,
  nameTwins,
} from './dead-letter.ts';

const letter = (messageId: string | undefined, data: unknown = 1, service = 'orders') =>
  toDeadLetter(service, {
    content: Buffer.from(JSON.stringify({ pattern: 'orders.place-order', data })),
    fields: {},
    properties: { messageId, headers: {} },
  } as unknown as ConsumeMessage);

describe('letterNamed', () => {
  const letters = [letter('ab-12'), letter('ab-1'), letter('ab-2')];

  it('takes the exact id before a longer one that begins like it', () => {
    expect(letterNamed(letters, 'ab-1')).toBe(letters[1]);
  });

  it('takes the beginning of an id that means one', () => {
    expect(letterNamed(letters, 'ab-12')).toBe(letters[0]);
    expect(letterNamed(letters, 'ab-2')).toBe(letters[2]);
  });

  it('refuses what means none, or several', () => {
    expect(() => letterNamed(letters, 'x')).toThrow('no dead letter x');
    expect(() => letterNamed(letters, 'ab')).toThrow('means 3 dead letters');
    expect(() => letterNamed([letter('ab-1'), letter('ab-1', 1, 'search')], 'ab-1')).toThrow('means 2');
  });
});

describe('a letter that is not UTF-8', () => {
  const broken = Buffer.concat([
    Buffer.from('{"pattern":"orders.place-order","data":"'),
    ...[Buffer.from([0xb0, 0xa1]), Buffer.from('"}')],
  ]);

  it('has no type, and is replaced as a whole', () => {
    const properties = { headers: {} };
    const { type } = toDeadLetter('orders', { content: broken, properties } as unknown as ConsumeMessage);
    expect(type).toBeUndefined();
    expect(contentWith(broken, { quantity: 1 }).toString()).toBe('{"quantity":1}');
  });
});

describe('letters with the same id', () => {
  const twins = [letter('ab-1', 'first'), letter('ab-2'), letter('ab-1', 'second')];
  nameTwins(twins);

  it('have names of their own, in the order of the queue', () => {
    expect(twins.map(({ name }) => name)).toEqual(['ab-1', 'ab-2', 'ab-1~2']);
    expect(letterNamed(twins, 'ab-1').data).toBe('first');
    expect(letterNamed(twins, 'ab-1~2').data).toBe('second');
  });
});

describe('a group', () => {
  const failed = (cause: string, at: string) => ({ ...letter(at), cause, firstFailedAt: at });

  it('keeps its name while others come and go, and while ids in its cause differ', () => {
    const old = failed('Error: no product 17', '2026-01-01');
    const [alone] = groupLetters([old]);
    const many = groupLetters([
      failed('Error: another', '2025-01-01'),
      old,
      failed('Error: no product 4', '2026-02-01'),
    ]);
    expect(alone!.name).toMatch(/^[0-9a-f]{6}$/);
    expect(groupsNamed(many, alone!.name).flatMap(({ letters }) => letters)).toHaveLength(2);
  });
});

describe('a letter without an id', () => {
  it('is named by its content', () => {
    expect(letter(undefined).id).toMatch(/^sha-[0-9a-f]{16}$/);
    expect(letter('').id).toBe(letter(undefined).id);
    expect(letter(undefined, 2).id).not.toBe(letter(undefined, 1).id);
  });
});

describe('a letter whose sender wrote what only the broker writes', () => {
  it.each([
    ...['x', 5, null, {}, [null], ['x'], [{ queue: 5, reason: {} }]],
    ...[[{ time: 'x' }], [{ time: { value: 1e300 } }], [{ queue: 'a', time: { value: 'x' } }]],
  ])('is read all the same: %j', (death) => {
    const properties = { headers: { 'x-death': death, failures: {}, 'first-failed-at': 5 }, messageId: {} };
    const letter = toDeadLetter('orders', {
      ...{ content: Buffer.from('{}'), fields: {}, properties },
    } as unknown as ConsumeMessage);
    expect(letter).toMatchObject({ cause: expect.stringContaining('put away by the broker') });
    expect(headersFromOperator(letter, 'boss')).toMatchObject({ 'replayed-for': 'orders' });
  });
});

describe('a letter that is encrypted', () => {
  const content = (more: object) => ({
    ...{
      content: Buffer.from(JSON.stringify({ pattern: 'identity.sign-in', data: 'eyJ.a.b.c.d', ...more })),
    },
    ...{ fields: {}, properties: { messageId: 'ab-1', headers: {} } },
  });
  const read = (more: object) => toDeadLetter('identity', content(more) as unknown as ConsumeMessage);

  it('keeps its type, and says that its data cannot be read', () => {
    expect(read({ datacontenttype: 'application/jose' })).toMatchObject({
      ...{ type: 'identity.sign-in', data: 'eyJ.a.b.c.d', encrypted: true },
    });
    expect(read({}).encrypted).toBe(false);
  });
});

describe('a letter that its service refused because of its sender', () => {
  it('has its cause, its queue and its time from the broker, whatever its sender wrote', () => {
    const time = { value: Date.parse('2026-01-02T03:04:05Z') / 1_000 };
    const forged = { cause: 'Error: out of memory', queue: 'orders.events', failures: 6, stack: 'at x' };
    const letter = (userId: string | undefined) =>
      toDeadLetter(
        'payments',
        {
          ...{ content: Buffer.from('{}'), fields: {} },
          properties: {
            userId,
            headers: { ...forged, 'x-death': [{ queue: 'payments.commands', reason: 'rejected', time }] },
          },
        } as unknown as ConsumeMessage,
        'boss',
      );
    expect(letter('search')).toMatchObject({
      ...{ cause: 'UnauthorizedSender: search may not send it', queue: 'payments.commands', failures: 1 },
      ...{ firstFailedAt: '2026-01-02T03:04:05.000Z', stack: undefined },
    });
    expect(letter('boss').cause).toBe('UnauthorizedSender: its first sender may not send it');
    expect(letter(undefined).cause).toBe('UnauthorizedSender: a login that is not known may not send it');
  });
});

describe('what an operator sends on', () => {
  /** A letter that this login put among the dead letters of payments. */
  const sentOn = (userId: string | undefined, headers: object) =>
    headersFromOperator(
      toDeadLetter('payments', {
        ...{ content: Buffer.from('{}'), fields: {}, properties: { userId, headers } },
      } as unknown as ConsumeMessage),
      'boss',
    );
  const marked = { sender: 'orders', mark: 'AAAA' };

  it('is for the service that has it among its dead letters, which verifies its mark', () => {
    const caller = { caller: '{}' };
    expect(sentOn('payments', { ...marked, ...caller })).toEqual({
      ...{ ...marked, ...caller, 'replayed-for': 'payments' },
    });
  });

  it('is of the login that put it there, whatever mark and sender that one wrote', () => {
    for (const headers of [marked, { sender: 'orders' }, { ...marked, 'replayed-for': 'payments' }])
      expect(sentOn('search', headers)).toEqual({ sender: 'search', 'replayed-for': 'payments' });
    expect(sentOn(undefined, marked)).toEqual({ sender: '', 'replayed-for': 'payments' });
  });

  it('says nothing of an edit unless an operator made it, for this service', () => {
    const edit = { 'edited-from': 'x', 'edited-by': 'ann', 'edited-at': 'then' };
    for (const login of ['payments', 'search'])
      expect(Object.keys(sentOn(login, { ...marked, ...edit, 'replayed-for': 'payments' }))).not.toContain(
        'edited-from',
      );
    expect(sentOn('boss', { ...marked, ...edit, 'replayed-for': 'payments' })).toMatchObject(edit);
    expect(sentOn('boss', { ...marked, ...edit, 'replayed-for': 'search' })).not.toHaveProperty(
      'edited-from',
    );
  });

  it('keeps what an operator said of its sender for this service, and not for another', () => {
    expect(sentOn('boss', { sender: 'orders', 'replayed-for': 'payments' })).toMatchObject({
      sender: 'orders',
    });
    expect(sentOn('boss', { sender: 'orders', 'replayed-for': 'search' })).toMatchObject({ sender: '' });
    expect(sentOn('boss', { 'replayed-for': 'search' })).toMatchObject({ sender: '' });
    expect(sentOn('boss', {})).toMatchObject({ sender: 'boss' });
  });

  it('has no sender where a queue of another service held it before', () => {
    const from = (...queues: string[]) => ({ 'x-death': queues.map((queue) => ({ queue })) });
    expect(sentOn('catalog', from('payments.events', 'retry.500ms', 'payments.commands@2'))).toMatchObject({
      ...{ sender: 'catalog' },
    });
    expect(sentOn('catalog', from('hearing.search.1', 'payments.events'))).toMatchObject({ sender: '' });
  });

  it('sends no copies elsewhere', () => {
    expect(sentOn('payments', { ...marked, CC: ['orders.commands'], BCC: ['x'] })).toEqual({
      ...{ ...marked, 'replayed-for': 'payments' },
    });
  });
});
