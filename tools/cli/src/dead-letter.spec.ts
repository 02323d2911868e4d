import { describe, expect, it } from '@jest/globals';
import { type ConsumeMessage } from 'amqplib';
import { contentWith, deadLetterOf, groupsNamed, groupsOf, letterNamed, nameTwins } from './dead-letter.ts';

const letter = (messageId: string | undefined, data: unknown = 1, service = 'orders') =>
  deadLetterOf(service, {
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
    const { type } = deadLetterOf('orders', { content: broken, properties } as unknown as ConsumeMessage);
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
    const [alone] = groupsOf([old]);
    const many = groupsOf([
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

describe('a letter that is encrypted', () => {
  const content = (more: object) => ({
    ...{
      content: Buffer.from(JSON.stringify({ pattern: 'identity.sign-in', data: 'eyJ.a.b.c.d', ...more })),
    },
    ...{ fields: {}, properties: { messageId: 'ab-1', headers: {} } },
  });
  const read = (more: object) => deadLetterOf('identity', content(more) as unknown as ConsumeMessage);

  it('keeps its type, and says that its data cannot be read', () => {
    expect(read({ datacontenttype: 'application/jose' })).toMatchObject({
      ...{ type: 'identity.sign-in', data: 'eyJ.a.b.c.d', encrypted: true },
    });
    expect(read({}).encrypted).toBe(false);
  });
});
