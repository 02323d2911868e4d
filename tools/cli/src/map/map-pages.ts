import { formatMarkdownTable, toCode } from '../markdown.ts';
import { formatTable } from '../terminal/text-table.ts';
import { listDirectLinks, type Link, type MappedService, type StoreMap } from './store-map.ts';

type Cell = string | string[];

const noOwner = '-';

/** The map for a terminal: tables with one message per line. */
export function formatMap(map: StoreMap): string {
  const { services, common } = map;
  const direct = listDirectLinks(map);
  const listLinks = (kind: Link['kind']) =>
    direct.filter((link) => link.kind === kind).map(({ from, to, messages }) => [from, to, messages]);
  return [
    ...formatRows([
      ['SERVICE', 'TEAM', 'USES', 'CALLS', 'EVENTS FROM'],
      ...services.map((service) => [
        service.name,
        service.owner ?? noOwner,
        service.uses,
        listCallees(map, service),
        listSources(map, service),
      ]),
    ]),
    '',
    ...formatRows([['FROM', 'TO', 'COMMANDS AND QUERIES'], ...listLinks('call')]),
    '',
    ...formatRows([['FROM', 'TO', 'EVENTS'], ...listLinks('event')]),
    '',
    ...formatRows([
      ['PUBLIC ROUTE', 'COMMAND OR QUERY'],
      ...services.flatMap(({ routes }) => routes.map(({ route, request }) => [route, request])),
    ]),
    ...(common.length > 0 ? ['', 'Not listed above, because all services use it:'] : []),
    ...(common.length > 0 ? formatRows(common.map((link) => [describeCommon(link), link.messages])) : []),
  ].join('\n');
}

/** The map as a page of Markdown with a Mermaid flowchart. `drawing` is the address of the SVG, if there is one. */
export function formatMarkdown(map: StoreMap, drawing?: string): string {
  const { services, common } = map;
  const direct = listDirectLinks(map);
  const listLinks = (kind: Link['kind']) =>
    direct
      .filter((link) => link.kind === kind)
      .map(({ from, to, messages }) => [from, to, messages.map(toCode).join(', ')]);
  return [
    '# Map of the services',
    '',
    'Generated from the code by `npx jogakbo map --write`. Do not edit it: a test compares it with the code.',
    '',
    ...(drawing ? [`![The services, their calls and their events](${drawing})`, ''] : []),
    'Solid arrows are commands and queries, from the caller to the service. Dotted arrows are events, from the publisher to the receiver.',
    '',
    ...formatFlowchart(map),
    '',
    '## Services',
    '',
    ...formatMarkdownTable([
      ['Service', 'Team', 'Uses', 'Calls', 'Receives events from'],
      ...services.map((service) => [
        service.name,
        service.owner ?? noOwner,
        service.uses.join(', '),
        listCallees(map, service).join(', '),
        listSources(map, service).join(', '),
      ]),
    ]),
    '',
    ...(common.length > 0
      ? ['All services use these messages, so that no arrow and no table shows them:', '']
      : []),
    ...common.map((link) => `- ${describeCommon(link)}: ${link.messages.map(toCode).join(', ')}`),
    ...(common.length > 0 ? [''] : []),
    '## Commands and queries',
    '',
    'Without the requests behind public routes.',
    '',
    ...formatMarkdownTable([['From', 'To', 'Commands and queries'], ...listLinks('call')]),
    '',
    '## Events',
    '',
    ...formatMarkdownTable([['From', 'To', 'Events'], ...listLinks('event')]),
    '',
    '## Public routes',
    '',
    ...formatMarkdownTable([
      ['Service', 'Route', 'Command or query', 'Access'],
      ...services.flatMap(({ name, routes }) =>
        routes.map(({ route, request, access = '' }) => [name, toCode(route), toCode(request), access]),
      ),
    ]),
    '',
  ].join('\n');
}

const listCallees = ({ links }: StoreMap, { name }: MappedService): string[] =>
  links.filter(({ kind, from }) => kind === 'call' && from === name).map(({ to }) => to);

const listSources = ({ links }: StoreMap, { name }: MappedService): string[] =>
  links.filter(({ kind, to }) => kind === 'event' && to === name).map(({ from }) => from);

/** For example `every service calls config`. */
export const describeCommon = ({ kind, from, to }: Link): string =>
  `${from} ${kind === 'call' ? 'calls' : 'publishes to'} ${to}`;

/** A table for a terminal, in which a cell may have several lines. */
function formatRows(rows: readonly Cell[][]): string[] {
  const lines = rows.flatMap((row) => {
    const cells = row.map((cell) => [cell].flat());
    const height = Math.max(1, ...cells.map(({ length }) => length));
    return Array.from({ length: height }, (_, line) => cells.map((cell) => cell[line] ?? ''));
  });
  return formatTable(lines);
}

function formatFlowchart({ services, links }: StoreMap): string[] {
  const teams = [...new Set(services.map(({ owner = noOwner }) => owner))].sort();
  const groups = teams.flatMap((team, index) => [
    `  subgraph team${index}["${team === noOwner ? 'no team' : `${team} team`}"]`,
    ...services.filter(({ owner = noOwner }) => owner === team).map(({ name }) => `    ${name}["${name}"]`),
    '  end',
  ]);
  const arrows = links.map(({ kind, from, to }) => `  ${from} ${kind === 'call' ? '-->' : '-.->'} ${to}`);
  return ['```mermaid', 'flowchart TB', ...groups, ...arrows, '```'];
}
