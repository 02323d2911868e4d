import { describe, expect, it } from '@jest/globals';
import { z } from 'zod';
import { service } from '../declare-service.ts';
import { describe as describeContract, type ServiceDescription } from '../description.ts';
import { comparePublicApi } from './compare-public.ts';

type Spec = Parameters<ReturnType<typeof service>['query']>[1];

const id = z.string();
function createLibrary(changes: object = {}, name = 'lend-book'): ServiceDescription {
  const library = service('library');
  library.command(name, {
    input: z.strictObject({
      bookId: id,
      version: z.union([z.int(), z.array(z.int()), z.literal('*')]).optional(),
    }),
    output: z.object({ loanId: id }),
    rejections: { 'not-available': 409 },
    http: {
      route: 'POST /v1/books/{bookId}/loans',
      limit: '10/minute',
      location: '/v1/loans/{loanId}',
      etag: 'loanId',
    },
    access: 'member',
    ...changes,
  } as Spec);
  // Without a route: clients cannot use it.
  library.query('count-loans', { input: z.strictObject({}), output: z.object({ count: z.int() }) });
  return describeContract(library);
}
const before = createLibrary();
const http = {
  route: 'POST /v1/books/{bookId}/loans',
  limit: '10/minute',
  location: '/v1/loans/{loanId}',
  etag: 'loanId',
};
const compare = (after: ServiceDescription, earlier = before): string[] =>
  comparePublicApi(earlier, after).map(({ part, path, problem }) =>
    [part, path, problem].filter(Boolean).join(' '),
  );

describe('clients of the public API', () => {
  it.each<[string, object]>([
    ['an equal version', {}],
    ['wider access', { access: 'public' }],
    ['a higher limit', { http: { ...http, limit: '700/hour' } }],
    ['no limit', { http: { route: http.route, location: http.location, etag: http.etag } }],
    ['more output', { output: z.object({ loanId: id, until: id }) }],
    ['fewer rejections', { rejections: {} }],
  ])('are not broken by %s', (_, changes) => {
    expect(compare(createLibrary(changes))).toEqual([]);
  });

  it('are not broken by another name of a request or of a parameter', () => {
    expect(compare(createLibrary({}, 'borrow-book'))).toEqual([]);
  });

  it.each<[string, object, string[]]>([
    [
      'another route',
      { http: { ...http, route: 'PUT /v1/books/{bookId}/loans' } },
      ['http POST /v1/books/{}/loans does not exist'],
    ],
    ['no route', { http: undefined, access: undefined }, ['http POST /v1/books/{}/loans does not exist']],
    ['less access', { access: 'operator' }, ['access is operator, before member']],
    [
      'a lower limit',
      { http: { ...http, limit: '9/minute' } },
      ['http has limit 9/minute, before 10/minute'],
    ],
    [
      'a new limit',
      { http: { ...http, memberLimit: '1/second' } },
      ['http has memberLimit 1/second, before none'],
    ],
    ['another status', { http: { ...http, status: 202 } }, ['http has status 202, before 200']],
    [
      'no Location and ETag',
      { http: { route: http.route, limit: http.limit } },
      ['http no longer answers with the header Location', 'http no longer answers with the header ETag'],
    ],
    ['a condition', { http: { ...http, ifMatch: 'version' } }, ['http requires the header If-Match']],
    [
      'a recent sign-in',
      { http: { ...http, maxAuthAge: 60 } },
      ['http requires a sign-in within 60 seconds'],
    ],
    ['a required key', { idempotency: 'required' }, ['idempotency is required, before optional']],
    ['no idempotency', { idempotency: 'none' }, ['idempotency is none, before optional']],
    [
      'a new rejection',
      { rejections: { 'not-available': 409, late: 422 } },
      ['rejections have the new code late, which callers do not know'],
    ],
    [
      'another status of a rejection',
      { rejections: { 'not-available': 410 } },
      ['rejections have status 410 for not-available, before 409'],
    ],
    [
      'a narrower input',
      { input: z.strictObject({ bookId: z.string().max(3), version: z.unknown().optional() }) },
      ['input bookId can have any number of characters, but at most 3 are accepted'],
    ],
    [
      'less output',
      { output: z.object({}), http: { ...http, location: '/v1/loans', etag: 'loanId' } },
      ['output loanId is not sent, but is required'],
    ],
  ])('are broken by %s', (_, changes, problems) => {
    expect(compare(createLibrary(changes))).toEqual(problems);
  });

  it('are broken by less access only where they had it', () => {
    const compareAccess = (earlier: string, later: string) =>
      compare(createLibrary({ access: later }), createLibrary({ access: earlier })).length === 0;
    const pairs = ['public', 'member', 'owner', 'operator', 'librarian'].flatMap((one) =>
      ['public', 'member', 'owner', 'operator', 'librarian']
        .filter((other) => compareAccess(one, other))
        .map((other) => `${one} ${other}`),
    );
    expect(pairs).toEqual([
      ...['public public', 'member public', 'member member', 'owner public', 'owner member', 'owner owner'],
      ...['operator public', 'operator member', 'operator operator'],
      ...['librarian public', 'librarian member', 'librarian librarian'],
    ]);
  });

  it('are broken by less data of a rejection', () => {
    const withLimit = (members: z.ZodRawShape) =>
      createLibrary({ extensions: { 'not-available': z.object(members) } });
    expect(compare(withLimit({ until: id, since: id }), withLimit({ until: id }))).toEqual([]);
    expect(compare(withLimit({}), withLimit({ until: id.optional() }))).toEqual([
      'extension of not-available until is no longer sent',
    ]);
    expect(compare(createLibrary(), withLimit({ until: id }))).toHaveLength(1);
  });

  it('are broken by another result of Prefer: wait', () => {
    const create = (output: z.ZodType, waits = true) => {
      const library = service('library');
      const GetLoan = library.query('get-loan', {
        input: z.strictObject({ loanId: id }),
        output: output as never,
      });
      const BookLent = library.event('book-lent', z.object({ loanId: id }));
      const wait = { key: 'loanId', until: [BookLent], answer: GetLoan, status: 201 };
      library.command('lend-book', {
        ...{ input: z.strictObject({}), output: z.object({ loanId: id }), access: 'member' },
        http: { route: 'POST /v1/loans' as const, status: 202, ...(waits && { wait }) },
      });
      return describeContract(library);
    };
    const earlier = create(z.object({ state: id }));
    expect(compare(create(z.object({ state: id, more: id })), earlier)).toEqual([]);
    expect(compare(create(z.object({})), earlier)).toEqual(['wait state is not sent, but is required']);
    expect(compare(create(z.object({ state: id }), false), earlier)).toEqual([
      'wait is no longer supported: Prefer: wait has no effect',
    ]);
  });

  it('are broken by other pages', () => {
    const create = (path: `/${string}`, cookies = 'forms_') => {
      const library = service('library');
      library.pages('answer-page', { path, cookies });
      return describeContract(library);
    };
    expect(compare(create('/forms'), create('/forms'))).toEqual([]);
    expect(compare(create('/pages'), create('/forms'))).toEqual(['http /forms/* does not exist']);
    expect(compare(create('/forms', 'pages_'), create('/forms'))).toEqual([
      'pages has cookies pages_, before forms_',
    ]);
  });
});
