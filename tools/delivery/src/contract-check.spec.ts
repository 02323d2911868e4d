import { describe, expect, it } from '@jest/globals';
import {
  describe as describeContract,
  describeUses,
  service,
  type AnyEvent,
  type AnyRequest,
} from '@jogakbo/contract';
import { z } from 'zod';
import { checkContracts, checkEarlierVersion, type ServiceVersion } from './contract-check.ts';
import { formatBreakages, toNextName } from './format-breakages.ts';

const id = z.string();

/** The contract of a service that lends books. */
function createLibrary({
  input = {},
  output = { loanId: id },
  event = { loanId: id },
}: Record<string, z.ZodRawShape> = {}) {
  const library = service('library');
  return {
    library,
    LendBook: library.command('lend-book', {
      input: z.strictObject({ bookId: id, ...input }),
      output: z.object(output),
    }),
    BookLent: library.event('book-lent', z.object(event)),
  };
}
function createReaders(event: z.ZodRawShape = { readerId: id }) {
  const readers = service('readers');
  return { readers, ReaderJoined: readers.event('reader-joined', z.object(event)) };
}

const version = (
  contract: ReturnType<typeof service>,
  name: string,
  { calls = [], receives = [] }: { calls?: AnyRequest[]; receives?: AnyEvent[] } = {},
): ServiceVersion => ({
  service: contract.name,
  version: name,
  contract: { ...describeContract(contract), uses: describeUses({ calls, receives, publishes: [] }) },
});
/** A version of the service that counts loans, built with one version of the library. */
const createCounter = (
  name: string,
  { LendBook, BookLent }: ReturnType<typeof createLibrary>,
): ServiceVersion => version(service('counter'), name, { calls: [LendBook], receives: [BookLent] });

const first = createLibrary();
const running = [version(first.library, '1'), createCounter('1', first), createCounter('2', first)];
const check = (candidates: ServiceVersion[], all = running) => checkContracts({ candidates, running: all });

describe('a provider', () => {
  it('may be deployed with a wider contract', () => {
    const wider = createLibrary({ input: { until: id.optional() }, output: { loanId: id, until: id } });
    expect(check([version(wider.library, '2')])).toEqual({
      breakages: [],
      order: ['library'],
      cycles: [],
      notes: [],
    });
  });

  it('is refused for each running version of a consumer that it breaks, with the field and the way out', () => {
    const broken = createLibrary({ output: { lentAt: id }, event: { loanId: z.int() } });
    const result = check([version(broken.library, '2')]);
    expect(result.breakages).toHaveLength(4);
    expect(formatBreakages(result)).toEqual([
      'library cannot be deployed:',
      '  library.book-lent  data loanId: can be a number, which is not accepted',
      '    breaks counter 1, counter 2',
      '    way out: keep library.book-lent, publish library.book-lent.v2 beside it, and remove library.book-lent when no running version uses it',
      '  library.lend-book  output loanId: is not sent, but is required',
      '    breaks counter 1, counter 2',
      '    way out: keep library.lend-book, offer library.lend-book.v2 beside it, and remove library.lend-book when no running version uses it',
    ]);
  });

  it('is refused if it removes what is used, and may remove what is not', () => {
    const empty = version(service('library'), '2');
    expect(check([empty]).breakages.map(({ name, problem }) => `${name} ${problem}`)).toEqual([
      ...['library.book-lent does not exist', 'library.lend-book does not exist'],
      ...['library.book-lent does not exist', 'library.lend-book does not exist'],
    ]);
    expect(check([empty], [running[0]!]).breakages).toEqual([]);
  });

  it('is refused for clients of the public API, which are not known', () => {
    const create = (access: string) => {
      const library = service('library');
      library.query('find', {
        ...{ input: z.strictObject({}), output: z.object({}) },
        http: 'GET /v1/books',
        access,
      });
      return version(library, access);
    };
    const result = check([create('member')], [create('public')]);
    expect(formatBreakages(result)).toEqual([
      'library cannot be deployed:',
      '  library.find  access: is member, before public',
      '    breaks clients of the public API',
      '    way out: keep library.find, offer library.find.v2 beside it, and remove library.find when no client uses it',
    ]);
  });

  it('is compared with its running version for a consumer that does not list what it uses', () => {
    const { uses: _, ...contract } = running[1]!.contract;
    const older: ServiceVersion = { ...running[1]!, contract };
    const broken = version(createLibrary({ output: {} }).library, '2');
    const result = check([broken], [running[0]!, older]);
    expect(result.breakages).toMatchObject([{ name: 'library.lend-book', path: 'loanId', isAssumed: true }]);
    expect(formatBreakages(result)).toContain('    breaks counter 1 (it does not list what it uses)');
    // A service outside of the bus can use the public API only.
    expect(check([broken], [running[0]!, { ...older, upstream: 'http' }]).breakages).toEqual([]);
  });
});

describe('a consumer', () => {
  const wider = createLibrary({ input: { until: id.optional() } });

  it('is refused while no running version offers what it needs', () => {
    const result = check([createCounter('3', wider)]);
    expect(formatBreakages(result)).toEqual([
      'counter cannot be deployed:',
      '  library.lend-book  input until: is sent, but such a field is not accepted',
      '    needed, but not offered by library 1',
      '    way out: deploy a version of library first that offers this',
    ]);
  });

  it('is refused while one of several running versions does not offer it', () => {
    const both = [...running, version(wider.library, '2')];
    expect(check([createCounter('3', wider)], both).breakages).toMatchObject([
      { provider: { version: '1' } },
    ]);
    expect(check([createCounter('3', wider)], [version(wider.library, '2')]).breakages).toEqual([]);
  });

  it('may be deployed before the services that it calls, with a note', () => {
    expect(check([createCounter('1', first)], [])).toEqual({
      breakages: [],
      order: ['counter'],
      cycles: [],
      notes: ['counter calls library, of which no version is running'],
    });
  });
});

describe('several candidates', () => {
  it('are ordered: the provider of something new comes before its consumer', () => {
    const wider = createLibrary({ input: { until: id.optional() } });
    const result = check([createCounter('3', wider), version(wider.library, '2')]);
    expect(result).toMatchObject({ breakages: [], order: ['library', 'counter'], cycles: [] });
  });

  it('are ordered: the last consumer of something old comes before its provider', () => {
    const counter = version(service('counter'), '3');
    const result = check([version(service('library'), '2'), counter]);
    expect(result).toMatchObject({ breakages: [], order: ['counter', 'library'], cycles: [] });
  });

  it('come in the order of what they use where nothing else decides', () => {
    expect(check([createCounter('3', first), version(first.library, '2')]).order).toEqual([
      'library',
      'counter',
    ]);
  });

  it('are refused if they do not fit each other', () => {
    const result = check([
      createCounter('3', createLibrary({ output: { until: id } })),
      version(first.library, '2'),
    ]);
    expect(result.breakages).toMatchObject([
      { candidate: 'library', consumer: { version: '3' }, provider: { version: '2' }, path: 'until' },
    ]);
  });

  it('are refused if each would have to be first', () => {
    const [old, next] = [createReaders(), createReaders({ name: id })];
    const changed = createLibrary({ output: { lentAt: id } });
    const before = [
      version(first.library, '1', { receives: [old.ReaderJoined] }),
      version(old.readers, '1', { calls: [first.LendBook] }),
    ];
    const result = checkContracts({
      candidates: [
        version(changed.library, '2', { receives: [next.ReaderJoined] }),
        version(next.readers, '2', { calls: [changed.LendBook] }),
      ],
      running: before,
    });
    expect(result.cycles).toEqual([['library', 'readers']]);
    expect(result.breakages.length).toBeGreaterThan(0);
    expect(formatBreakages(result).at(-1)).toBe(
      'library, readers would each have to be deployed before another one of them: change them in two steps',
    );
  });
});

it('a query that answers for another one must keep its shape', () => {
  const search = service('search');
  search.query('find', {
    ...{ input: z.strictObject({}), output: z.object({ items: z.array(id) }), access: 'public' },
    http: { route: 'GET /v1/search' as const, fallback: { query: 'library.list' } },
  });
  const create = (output: z.ZodRawShape) => {
    const library = service('library');
    library.query('list', {
      input: z.strictObject({}),
      output: z.object(output),
      standsInFor: 'search.find',
    });
    return version(library, '2');
  };
  expect(check([create({ items: z.array(id) })], [version(search, '1')]).breakages).toEqual([]);
  expect(check([create({ things: z.array(id) })], [version(search, '1')]).breakages).toMatchObject([
    { consumer: { service: 'search' }, name: 'library.list', path: 'items' },
  ]);
});

it('the next name of a breaking version counts on', () => {
  expect(['library.lend-book', 'library.lend-book.v2', 'library.v9.v10'].map(toNextName)).toEqual([
    ...['library.lend-book.v2', 'library.lend-book.v3', 'library.v9.v11'],
  ]);
});

describe('an earlier version', () => {
  const richer = createLibrary({ output: { loanId: id, until: id } });

  it('is refused if a running consumer needs what it does not have', () => {
    const all = [version(richer.library, '2'), createCounter('3', richer)];
    const { breakages } = checkEarlierVersion(version(first.library, '1'), all);
    expect(breakages).toMatchObject([
      {
        name: 'library.lend-book',
        part: 'output',
        path: 'until',
        consumer: { service: 'counter', version: '3' },
      },
    ]);
  });

  it('may lack what only clients of the public API could use: that is a note', () => {
    const library = service('library');
    library.query('list-loans', {
      ...{ input: z.strictObject({}), output: z.object({ loanId: id }) },
      ...{ http: 'GET /v1/loans', access: 'member' },
    });
    const later = { ...version(library, '2'), service: 'library' };
    const { breakages, notes } = checkEarlierVersion(version(service('library'), '1'), [later]);
    expect({ breakages, notes }).toEqual({
      breakages: [],
      notes: ['the public API loses or changes library.list-loans'],
    });
  });
});
