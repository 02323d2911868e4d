import { describe, expect, it } from '@jest/globals';
import { Id, Timestamp } from '@jogakbo/contract';
import { z } from 'zod';
import { createExample } from './example.ts';

describe('an example', () => {
  it.each([
    [z.object({ id: Id, at: Timestamp, note: z.string().optional() })],
    [z.object({ count: z.int().min(3), share: z.number().gt(0).max(1), done: z.boolean() })],
    [z.object({ state: z.enum(['open', 'done']), kind: z.literal('a'), any: z.unknown() })],
    [z.object({ items: z.array(z.object({ id: Id })).min(2) })],
    [z.object({ code: z.string().regex(/^[A-Z]{3}$/), long: z.string().min(20), mail: z.email() })],
    [
      z.discriminatedUnion('type', [
        z.object({ type: z.literal('a'), id: Id }),
        z.object({ type: z.literal('b') }),
      ]),
    ],
  ])('fits its schema (%#)', (schema) => {
    const example = createExample(schema);
    expect(example).toBeDefined();
    expect(schema.safeParse(example).success).toBe(true);
  });

  it('has the required fields only', () => {
    expect(createExample(z.object({ id: z.literal(1), note: z.string().optional() }))).toEqual({ id: 1 });
  });

  it('is the one of the schema', () => {
    expect(
      createExample(
        z
          .string()
          .regex(/^\d{9}$/)
          .meta({ examples: ['123456789'] }),
      ),
    ).toBe('123456789');
  });

  it('is undefined if none can be guessed', () => {
    expect(createExample(z.string().regex(/^\d{9}$/))).toBeUndefined();
  });
});
