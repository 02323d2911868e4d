import type { RequestDescription, ServiceDescription } from '@jogakbo/contract';
import type { BusDescription } from '@jogakbo/messaging/grants';
import { formatMarkdownTable, toCode, toMarkdown } from '../markdown.ts';
import { listFields } from './schema-fields.ts';

/** The first lines of a generated page. */
export const startPage = (title: string, text: string): string[] => [
  `# ${title}`,
  '',
  text,
  '',
  'Generated from the code by `npx jogakbo docs --write`. Do not edit it: a test compares it with the code.',
  '',
];

/** The page with the commands and queries of one service. */
export function formatContract({ service, description, requests, policy }: ServiceDescription): string {
  return [
    ...startPage(`Contract of ${service}`, toMarkdown(description)),
    `A caller has at most ${policy.concurrency} calls at a time. After more than ${policy.failures * 100} % of ${policy.calls} calls have failed, it stops calling for ${policy.openFor / 1_000} s. Its events are in [events](../events.md), its settings in [settings](../settings.md).`,
    '',
    ...requests.flatMap(formatRequest),
  ].join('\n');
}

function formatRequest(request: RequestDescription): string[] {
  const { name, kind, description, http, pages, access, rejections, idempotency, sensitive } = request;
  const route = http ? `${http.method} ${http.path}` : pages ? `all pages below ${pages.path}` : undefined;
  const facts = [
    [kind === 'command' ? 'Command' : 'Query', route ? toCode(route) : 'for services only'].join(', '),
    access && `access ${toCode(access)}`,
    http && `answers ${http.status}`,
    kind === 'command' && idempotency !== 'none' && `\`Idempotency-Key\` ${idempotency}`,
    http?.limit && `at most ${http.limit.replace('/', ' per ')}`,
    http?.cache && `cached for ${http.cache.maxAge} s`,
    sensitive && 'encrypted on the bus and at rest',
  ].filter(Boolean);
  return [
    `## ${name}`,
    '',
    ...(description ? [toMarkdown(description), ''] : []),
    `${facts.join('; ')}.`,
    '',
    ...formatFields('Input', request.input),
    ...(request.output ? formatFields('Output', request.output) : []),
    ...formatRejections(rejections),
  ];
}

function formatFields(title: string, schema: Record<string, unknown>): string[] {
  const fields = listFields(schema);
  if (fields.length === 0) return [];
  const rows = fields.map(({ path, type, isRequired, description }) => [
    toCode(path),
    toMarkdown(type),
    toMarkdown([isRequired ? '' : 'optional', description].filter(Boolean).join('; ')),
  ]);
  const columns = rows.some((row) => row[2]) ? 3 : 2;
  return [
    ...formatMarkdownTable([[title, 'Type', 'Description'], ...rows].map((row) => row.slice(0, columns))),
    '',
  ];
}

function formatRejections(rejections: RequestDescription['rejections']): string[] {
  const codes = Object.entries(rejections);
  if (codes.length === 0) return [];
  return [`Rejections: ${codes.map(([code, status]) => `${toCode(code)} (${status})`).join(', ')}.`, ''];
}

/** The page with the events of all services. @param bus tells who receives them */
export function formatEvents(
  services: readonly ServiceDescription[],
  bus: readonly BusDescription[],
): string {
  const listReceivers = ({ name }: ServiceDescription['events'][number]) =>
    bus.filter(({ subscribesTo }) => subscribesTo.includes(name)).map(({ service }) => service);
  return [
    ...startPage(
      'Events',
      'Events are CloudEvents 1.0, published with the transaction that they report, and delivered at least once. The tables show their `data`.',
    ),
    ...services
      .filter(({ events }) => events.length > 0)
      .flatMap(({ service, events }) => [
        `## ${service}`,
        '',
        ...events.flatMap((event) => [
          `### ${event.name}`,
          '',
          ...(event.description ? [toMarkdown(event.description), ''] : []),
          [
            `Received by ${listReceivers(event).join(', ') || 'no service of this workspace'}`,
            event.subject && `in order for each ${toCode(event.subject)}`,
          ]
            .filter(Boolean)
            .join('; ') + '.',
          '',
          ...formatFields('Field', event.data),
        ]),
      ]),
  ].join('\n');
}
