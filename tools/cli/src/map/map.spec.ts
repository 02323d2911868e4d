import { describe, expect, it } from '@jest/globals';
import type { BusDescription } from '@jogakbo/messaging/grants';
import { drawMap } from './map-drawing.ts';
import { arrangeColumns, locateServices } from './map-layout.ts';
import { formatMap, formatMarkdown } from './map-pages.ts';
import { buildStoreMap, type Declared, type Link } from './store-map.ts';

const describeService = (service: string, rest: Partial<BusDescription> = {}): BusDescription => ({
  ...{ service, contracts: [], calls: [], subscribesTo: [], publishes: [], isGateway: false },
  ...rest,
});

const tea = describeService('tea', {
  contracts: [
    {
      ...{ name: 'tea.list-teas', kind: 'query' },
      offered: { asks: [], subscribesTo: [], routes: ['GET /v1/teas'], access: 'public' },
    },
    { name: 'tea.tea-sold', kind: 'event' },
  ],
  calls: ['sacks.take-leaves'],
});
const sacks = describeService('sacks', {
  contracts: [{ name: 'sacks.take-leaves', kind: 'command' }],
  subscribesTo: ['tea.tea-sold'],
});
const declared = new Map<string, Declared>([
  ['tea', { owner: 'kitchen', uses: ['PostgreSQL'] }],
  ['sacks', { uses: [] }],
]);
const map = buildStoreMap([tea, sacks], declared);

/** The directions of the drawn lines without the legend: call or event. */
const listLines = (svg: string): string[] =>
  [...svg.matchAll(/class="line (\w+)"/g)].map(([, kind]) => kind!).slice(0, -2);

describe('the map of two services', () => {
  it('contains their owners, routes, calls and events', () => {
    expect(map).toEqual({
      services: [
        { name: 'sacks', isGateway: false, uses: [], routes: [] },
        {
          ...{ name: 'tea', isGateway: false, owner: 'kitchen', uses: ['PostgreSQL'] },
          routes: [{ route: 'GET /v1/teas', request: 'tea.list-teas', access: 'public' }],
        },
      ],
      links: [
        { kind: 'call', from: 'tea', to: 'sacks', messages: ['sacks.take-leaves'] },
        { kind: 'event', from: 'tea', to: 'sacks', messages: ['tea.tea-sold'] },
      ],
      common: [],
    });
  });

  it('does not depend on the order of the descriptions', () => {
    expect(buildStoreMap([sacks, tea], declared)).toEqual(map);
  });

  it('is a table for terminals', () => {
    expect(formatMap(map).split('\n')).toEqual([
      'SERVICE  TEAM     USES        CALLS  EVENTS FROM',
      'sacks    -                           tea',
      'tea      kitchen  PostgreSQL  sacks',
      '',
      'FROM  TO     COMMANDS AND QUERIES',
      'tea   sacks  sacks.take-leaves',
      '',
      'FROM  TO     EVENTS',
      'tea   sacks  tea.tea-sold',
      '',
      'PUBLIC ROUTE  COMMAND OR QUERY',
      'GET /v1/teas  tea.list-teas',
    ]);
  });

  it('is a Mermaid flowchart with tables in Markdown', () => {
    const page = formatMarkdown(map);
    expect(page.split('```')[1]!.trim().split('\n')).toEqual([
      'mermaid',
      'flowchart TB',
      '  subgraph team0["no team"]',
      '    sacks["sacks"]',
      '  end',
      '  subgraph team1["kitchen team"]',
      '    tea["tea"]',
      '  end',
      '  tea --> sacks',
      '  tea -.-> sacks',
    ]);
    expect(page).toContain('| tea     | `GET /v1/teas` | `tea.list-teas`  | public |');
    expect(page).not.toContain('![');
    expect(formatMarkdown(map, 'map.svg')).toContain('](map.svg)');
  });

  it('is drawn with a box per service, a line per call and a dashed line per event', () => {
    const svg = drawMap(map);
    expect([...svg.matchAll(/class="name"[^>]*>(\w+)</g)].map(([, name]) => name)).toEqual(['sacks', 'tea']);
    expect(listLines(svg)).toEqual(['call', 'event']);
    expect(svg).toContain('>1 public route<');
    expect(svg).toContain('prefers-color-scheme: dark');
  });
});

describe('the map of a store with a gateway', () => {
  const settings = describeService('settings', {
    contracts: [{ name: 'settings.read', kind: 'query' }],
  });
  const gateway = describeService('gateway', { isGateway: true });
  const all = [tea, sacks, gateway].map((one) => ({ ...one, calls: [...one.calls, 'settings.read'] }));
  const whole = buildStoreMap([...all, settings], declared);

  it('contains the calls of the gateway, which follow from the routes', () => {
    expect(whole.links).toContainEqual({
      ...{ kind: 'call', from: 'gateway', to: 'tea' },
      messages: ['tea.list-teas'],
    });
    expect(formatMap(whole)).not.toMatch(/^gateway +tea +tea.list-teas$/m);
    expect(listLines(drawMap(whole))).toEqual(['call', 'call', 'event']);
  });

  it('mentions messages between one service and all others only once', () => {
    expect(whole.common).toEqual([
      { kind: 'call', from: 'every service', to: 'settings', messages: ['settings.read'] },
    ]);
    expect(whole.links.flatMap(({ messages }) => messages)).not.toContain('settings.read');
    expect(formatMap(whole)).toContain('every service calls settings  settings.read');
    expect(drawMap(whole)).toContain('every service calls settings (settings.read)');
  });
});

describe('the layout', () => {
  it('draws no line through a box', () => {
    const columns = ['a', 'b', 'c'].map((team) => ({ team, services: [`${team}1`] }));
    const links: Link[] = [
      { kind: 'call', from: 'a1', to: 'c1', messages: [] },
      { kind: 'call', from: 'a1', to: 'b1', messages: [] },
    ];
    const places = locateServices(arrangeColumns(columns, links));
    // The service with both lines is in the middle.
    const order = [...places].sort(([, a], [, b]) => a.x - b.x).map(([name]) => name);
    expect(order[1]).toBe('a1');
  });
});
