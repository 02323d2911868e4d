import { getRequiredRole } from '../contract.ts';
import type { RequestDescription, ServiceDescription } from '../description.ts';
import type { JsonSchema } from '../json-schema.ts';
import { compareSchemas, type SchemaProblem } from './compare-schemas.ts';
import { describeNewRejection, noLongerSensitive, type Incompatibility } from './compare-uses.ts';

/**
 * Finds what breaks clients of the public HTTP API, which may use every route of the version that is running. Routes are
 * compared, not the names of their requests, which clients do not see.
 * @param before the running version @param after the version that replaces it
 */
export const comparePublicApi = (before: ServiceDescription, after: ServiceDescription): Incompatibility[] =>
  before.requests
    .filter(({ http, pages }) => http ?? pages)
    .flatMap((one) => compareRequest(one, before, after));

type Problems = Record<string, SchemaProblem[]>;

function compareRequest(
  before: RequestDescription,
  earlier: ServiceDescription,
  later: ServiceDescription,
): Incompatibility[] {
  const after = later.requests.find((one) => getRoute(one) === getRoute(before));
  const problems = after
    ? { ...compareContent(before, after), ...compareBinding(before, after, earlier, later) }
    : { http: [change(`${getRoute(before)} does not exist`)] };
  const { name, kind } = before;
  return Object.entries(problems).flatMap(([part, some]) =>
    some.map((one) => ({ name, kind, part, ...one })),
  );
}

/** The route without the names of its parameters. */
const getRoute = ({ http, pages }: RequestDescription): string | undefined =>
  http ? `${http.method} ${http.path.replace(/\{\w+\}/g, '{}')}` : pages && `${pages.path}/*`;

const change = (problem: string): SchemaProblem => ({ path: '', problem });

function compareContent(before: RequestDescription, after: RequestDescription): Problems {
  const codes = Object.keys(before.rejections);
  const extensions = codes.map((code) => [
    `extension of ${code}`,
    compareAnswers(after.extensions?.[code], before.extensions?.[code]),
  ]);
  return {
    input: compareSchemas(before.input, after.input),
    output: compareAnswers(after.output ?? undefined, before.output ?? undefined),
    rejections: [
      ...Object.keys(after.rejections)
        .filter((code) => !codes.includes(code))
        .map((code) => change(describeNewRejection(code))),
      ...codes
        .filter((code) => code in after.rejections && after.rejections[code] !== before.rejections[code])
        .map((code) =>
          change(`have status ${after.rejections[code]} for ${code}, before ${before.rejections[code]}`),
        ),
    ],
    sensitive: before.sensitive && !after.sensitive ? [noLongerSensitive] : [],
    ...(Object.fromEntries(extensions) as Problems),
  };
}

/** Clients ignore fields that they do not know; what they know must stay. */
const compareAnswers = (after: JsonSchema | undefined, before: JsonSchema | undefined): SchemaProblem[] =>
  before === undefined
    ? []
    : compareSchemas(after ?? { type: 'null' }, before, { keepsFields: true, ignoresUnknownFields: true });

function compareBinding(
  before: RequestDescription,
  after: RequestDescription,
  earlier: ServiceDescription,
  later: ServiceDescription,
): Problems {
  const [was, is] = [before.http, after.http];
  return {
    access: permitsLess(before.access, after.access)
      ? [change(`is ${after.access ?? 'not set'}, before ${before.access}`)]
      : [],
    idempotency: compareIdempotency(before.idempotency, after.idempotency),
    http: was && is ? compareHttp(was, is) : [],
    wait: was?.wait ? compareWait(was.wait, is?.wait, earlier, later) : [],
    pages:
      before.pages && after.pages
        ? [
            ...compareFixed('cookies', before.pages.cookies, after.pages.cookies),
            ...compareRate('limit', before.pages.limit, after.pages.limit),
          ]
        : [],
  };
}

/** Whether somebody who could use a route no longer can. */
function permitsLess(before: string | undefined, after: string | undefined): boolean {
  if (before === after || after === 'public') return false;
  const isForRole = before !== undefined && (before === 'owner' || getRequiredRole(before) !== undefined);
  return !(after === 'member' && isForRole);
}

function compareIdempotency(before: string, after: string): SchemaProblem[] {
  if (before === after || (before === 'none' && after === 'optional')) return [];
  return [change(`is ${after}, before ${before}`)];
}

type Http = NonNullable<RequestDescription['http']>;

function compareHttp(before: Http, after: Http): SchemaProblem[] {
  const isMissing = (field: 'location' | 'etag'): boolean => before[field] !== undefined && !after[field];
  return [
    ...compareFixed('status', before.status, after.status),
    ...compareFixed('document', before.document ?? false, after.document ?? false),
    ...(isMissing('location') ? [change('no longer answers with the header Location')] : []),
    ...(isMissing('etag') ? [change('no longer answers with the header ETag')] : []),
    ...(after.ifMatch !== undefined && before.ifMatch === undefined
      ? [change('requires the header If-Match')]
      : []),
    ...((after.maxAuthAge ?? Infinity) < (before.maxAuthAge ?? Infinity)
      ? [change(`requires a sign-in within ${after.maxAuthAge} seconds`)]
      : []),
    ...compareRate('limit', before.limit, after.limit),
    ...compareRate('memberLimit', before.memberLimit, after.memberLimit),
  ];
}

const compareFixed = (name: string, before: unknown, after: unknown): SchemaProblem[] =>
  before === after ? [] : [change(`has ${name} ${String(after)}, before ${String(before)}`)];

const seconds: Record<string, number> = { second: 1, minute: 60, hour: 3_600 };

/** A limit must permit as many requests at once and over time. */
function compareRate(name: string, before: string | undefined, after: string | undefined): SchemaProblem[] {
  const [was, is] = [parseRate(before), parseRate(after)];
  if (is.requests >= was.requests && is.perSecond >= was.perSecond) return [];
  return [change(`has ${name} ${after}, before ${before ?? 'none'}`)];
}

function parseRate(rate: string | undefined): { requests: number; perSecond: number } {
  if (rate === undefined) return { requests: Infinity, perSecond: Infinity };
  const [count, unit] = rate.split('/') as [string, string];
  return { requests: Number(count), perSecond: Number(count) / (seconds[unit] ?? 1) };
}

type Wait = NonNullable<Http['wait']>;

/** `Prefer: wait=N` must lead to the same answer. */
function compareWait(
  before: Wait,
  after: Wait | undefined,
  earlier: ServiceDescription,
  later: ServiceDescription,
): SchemaProblem[] {
  if (!after) return [change('is no longer supported: Prefer: wait has no effect')];
  const [was, is] = [
    earlier.requests.find(({ name }) => name === before.answer),
    later.requests.find(({ name }) => name === after.answer),
  ];
  return [
    ...compareFixed('status', before.status, after.status),
    ...compareAnswers(is?.output ?? undefined, was?.output ?? undefined),
  ];
}
