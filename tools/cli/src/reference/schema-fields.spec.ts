import { describe, expect, it } from '@jest/globals';
import { jsonSchema } from '@jogakbo/contract';
import { z } from 'zod';
import { listFields } from './schema-fields.ts';

const list = (shape: z.ZodRawShape) => listFields(jsonSchema(z.strictObject(shape), 'input'));
const describeFields = (shape: z.ZodRawShape) =>
  list(shape).map(({ path, type, isRequired }) => `${path}${isRequired ? '' : '?'}: ${type}`);

describe('the fields of a message', () => {
  it('have types with their limits', () => {
    expect(
      describeFields({
        loanId: z.uuid(),
        title: z.string().min(1).max(200),
        note: z.string().optional(),
        pages: z.int().min(1).max(50),
        year: z.int(),
        state: z.enum(['open', 'closed']),
        kind: z.literal('book'),
        until: z.iso.datetime().nullable(),
      }),
    ).toEqual([
      'loanId: uuid',
      'title: string, 1 to 200',
      'note?: string',
      'pages: integer, 1 to 50',
      'year: integer',
      'state: "open", "closed"',
      'kind: "book"',
      'until: date-time or null',
    ]);
  });

  it('include those of nested objects and lists', () => {
    const Book = z.object({ bookId: z.uuid(), authors: z.array(z.object({ name: z.string() })) });
    expect(
      describeFields({ books: z.array(Book).min(1).max(5), reader: z.object({ name: z.string() }) }),
    ).toEqual([
      'books: list of object, 1 to 5',
      'books[].bookId: uuid',
      'books[].authors: list of object',
      'books[].authors[].name: string',
      'reader: object',
      'reader.name: string',
    ]);
  });

  it('show their description and default', () => {
    const [limit] = list({ limit: z.int().min(1).max(100).default(20).describe('items of a page') });
    expect(limit).toEqual({
      path: 'limit',
      type: 'integer, 1 to 100',
      isRequired: false,
      description: 'items of a page; default: `20`',
    });
  });

  it('end in a recursive schema', () => {
    interface Node {
      child?: Node;
    }
    const Tree: z.ZodType<Node> = z.lazy(() => z.object({ child: Tree.optional() }));
    expect(list({ tree: Tree }).length).toBeLessThan(10);
  });
});
