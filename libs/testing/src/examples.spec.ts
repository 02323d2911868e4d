import { describe, expect, it } from '@jest/globals';
import { createPageSchema, Id, lineOfText, Timestamp, Version } from '@jogakbo/contract';
import { z } from 'zod';
import { createExample } from './examples.ts';

const Book = z.object({
  bookId: Id,
  title: lineOfText(200),
  isbn: z.string().regex(/^97[89]-\d{10}$/),
  lentAt: Timestamp.nullable(),
  version: Version,
  size: z.strictObject({ height: z.int().nonnegative(), unit: z.enum(['mm', 'in']) }),
  shelf: z
    .string()
    .meta({ examples: ['A 3'] })
    .optional(),
  pages: z.array(z.int().min(1).max(900)).min(1),
  note: z.string().default('none'),
});

describe('an example', () => {
  it('fits its schema, and has the optional fields', () => {
    const example = createExample(Book, 'library.book-lent');
    expect(Book.parse(example)).toMatchObject({ shelf: 'A 3', note: expect.any(String) });
  });

  it('is always the same for the same name, and another one for another name', () => {
    const [one, again, other] = ['a', 'a', 'b'].map((name) => createExample(Book, name));
    expect(again).toEqual(one);
    expect((other as z.infer<typeof Book>).bookId).not.toBe((one as z.infer<typeof Book>).bookId);
  });

  it('meets rules that JSON Schema cannot express, if they are met often', () => {
    const Range = z.object({ from: z.int(), to: z.int() }).refine(({ from, to }) => from <= to);
    expect(Range.safeParse(createExample(Range, 'range')).success).toBe(true);
  });

  it('is an error if no value is found', () => {
    const Never = z.string().refine(() => false);
    expect(() => createExample(Never, 'library.find-books')).toThrow(
      'no example of library.find-books could be generated that fits its schema',
    );
  });

  it('of an absent output is undefined', () => {
    expect(createExample(z.void(), 'library.lend-book')).toBeUndefined();
  });

  it('has few items, unless its schema demands more', () => {
    const Limited = z.object({ few: z.array(Id).max(100), many: z.array(Id).min(7).max(100) });
    expect(createExample(Limited, 'lists').many).toHaveLength(7);
    expect(createExample(z.object({ few: z.array(Id).min(1).max(100) }), 'list').few.length).toBeLessThan(3);
  });

  it('of a page has items', () => {
    expect(createExample(createPageSchema(Book), 'library.list-books').items.length).toBeGreaterThan(0);
  });
});
