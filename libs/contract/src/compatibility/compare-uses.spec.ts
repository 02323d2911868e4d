import { describe, expect, it } from '@jest/globals';
import { z } from 'zod';
import { service } from '../declare-service.ts';
import { describe as describeContract } from '../description.ts';
import { describeUses } from '../describe-uses.ts';
import { sensitive } from '../sensitive.ts';
import { compareForeignEvent, compareUse, listPossibleUses } from './compare-uses.ts';

interface Changes {
  input?: z.ZodType;
  output?: z.ZodType;
  rejections?: Record<string, number>;
  event?: z.ZodType;
  sensitive?: true;
}

const loanId = z.string();
/** A service that lends books, in one of its versions. */
function createLibrary(changes: Changes = {}) {
  const library = service('library');
  const LendBook = library.command('lend-book', {
    input: changes.input ?? z.strictObject({ bookId: z.string() }),
    output: changes.output ?? z.object({ loanId }),
    rejections: changes.rejections ?? { 'not-available': 409 },
    ...(changes.sensitive && { sensitive: true }),
  });
  const BookLent = library.event(
    'book-lent',
    changes.event ?? z.object({ loanId, reader: sensitive(z.string()) }),
  );
  return { library, LendBook, BookLent };
}

const built = createLibrary();
const uses = describeUses({ calls: [built.LendBook], receives: [built.BookLent], publishes: [] });
const findBroken = (changes: Changes, known = uses): string[] =>
  known
    .flatMap((use) => compareUse(use, describeContract(createLibrary(changes).library)))
    .map(({ name, part, path, problem }) => [name, part, path, problem].filter(Boolean).join(' '));

describe('what a service uses', () => {
  it('is described as it was built, without descriptions', () => {
    expect(uses).toEqual([
      {
        name: 'library.book-lent',
        kind: 'event',
        receives: {
          type: 'object',
          properties: { loanId: { type: 'string' }, reader: { type: 'string', 'x-sensitive': true } },
          required: ['loanId', 'reader'],
        },
      },
      {
        name: 'library.lend-book',
        kind: 'command',
        sends: {
          type: 'object',
          properties: { bookId: { type: 'string' } },
          required: ['bookId'],
          additionalProperties: false,
        },
        receives: { type: 'object', properties: { loanId: { type: 'string' } }, required: ['loanId'] },
        rejections: ['not-available'],
      },
    ]);
  });

  it('works with the contract that it was built with, and with a wider one', () => {
    expect(findBroken({})).toEqual([]);
    expect(
      findBroken({
        input: z.strictObject({ bookId: z.string().nullable(), until: z.string().optional() }),
        output: z.object({ loanId, until: z.string() }),
        rejections: {},
        event: z.object({ loanId, reader: sensitive(z.string()), at: z.string() }),
        sensitive: true,
      }),
    ).toEqual([]);
  });

  it.each<[string, Changes, string[]]>([
    [
      'a narrower input',
      { input: z.strictObject({ bookId: z.string().max(9) }) },
      ['library.lend-book input bookId can have any number of characters, but at most 9 are accepted'],
    ],
    [
      'a smaller output',
      { output: z.object({}) },
      ['library.lend-book output loanId is not sent, but is required'],
    ],
    ['no output', { output: z.void() }, ['library.lend-book output can be null, which is not accepted']],
    [
      'a new rejection',
      { rejections: { 'not-available': 409, 'too-many': 422 } },
      ['library.lend-book rejections have the new code too-many, which callers do not know'],
    ],
    [
      'an event with less',
      { event: z.object({ reader: sensitive(z.string()) }) },
      ['library.book-lent data loanId is not sent, but is required'],
    ],
    [
      'an event with a secret more',
      { event: z.object({ loanId: sensitive(z.string()), reader: sensitive(z.string()) }) },
      [
        'library.book-lent data loanId is now encrypted for its own service, so that consumers cannot read it',
      ],
    ],
    [
      'an event with a secret less',
      { event: z.object({ loanId, reader: z.string() }) },
      ['library.book-lent data reader is no longer encrypted, so that consumers could store or log it'],
    ],
  ])('is broken by %s', (_, changes, problems) => {
    expect(findBroken(changes)).toEqual(problems);
  });

  it('is broken by a request without encryption that its callers rely on', () => {
    const secret = describeUses({
      calls: [createLibrary({ sensitive: true }).LendBook],
      receives: [],
      publishes: [],
    });
    expect(findBroken({ sensitive: true }, secret)).toEqual([]);
    expect(findBroken({}, secret)).toEqual([
      'library.lend-book sensitive is no longer set, so that input and output are stored and logged in clear',
    ]);
  });

  it('is broken by the removal of a request or event, and by another kind', () => {
    const empty = describeContract(service('library'));
    expect(uses.flatMap((use) => compareUse(use, empty))).toMatchObject([
      { name: 'library.book-lent', part: 'event', problem: 'does not exist' },
      { name: 'library.lend-book', part: 'command', problem: 'does not exist' },
    ]);
    const other = service('library');
    other.query('lend-book', { input: z.strictObject({}), output: z.object({}) });
    expect(compareUse(uses[1]!, describeContract(other))).toMatchObject([
      { problem: 'is a query, not a command' },
    ]);
  });
});

it('a consumer that does not list its uses may use everything of a version', () => {
  const before = describeContract(built.library);
  const possible = listPossibleUses(before);
  expect(possible.map(({ name }) => name)).toEqual(['library.lend-book', 'library.book-lent']);
  const reading = { keepsFields: true, ignoresUnknownFields: true };
  const compare = (changes: Changes) =>
    possible.flatMap((use) => compareUse(use, describeContract(createLibrary(changes).library), reading));
  expect(compare({ output: z.object({ loanId, until: z.string() }) })).toEqual([]);
  expect(compare({ output: z.object({ until: z.string() }) })).toMatchObject([
    { part: 'output', path: 'loanId' },
  ]);
});

it('an event that services publish for another one is compared with what that one receives', () => {
  const describeTold = (data: z.ZodType) => service('reports').event('told', data);
  const received = describeUses({
    calls: [],
    receives: [describeTold(z.object({ load: z.int() }))],
    publishes: [],
  });
  const publishes = (data: z.ZodType) =>
    describeUses({ calls: [], receives: [], publishes: [describeTold(data)] });
  const compare = (data: z.ZodType) => received.flatMap((use) => compareForeignEvent(use, publishes(data)));
  expect(compare(z.object({ load: z.int(), more: z.string() }))).toEqual([]);
  expect(compare(z.object({ load: z.string() }))).toMatchObject([
    { name: 'reports.told', part: 'data', path: 'load', problem: 'can be a text, which is not accepted' },
  ]);
});
