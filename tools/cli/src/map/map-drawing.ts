import { arrangeColumns, boxSize, locateServices, pitch, type Column, type Point } from './map-layout.ts';
import { describeCommon } from './map-pages.ts';
import type { Link, MappedService, StoreMap } from './store-map.ts';

const margin = 20;
const gateway = { top: margin, height: 62 };
const frame = { top: gateway.top + gateway.height + 56, padding: 20, title: 34 };
const frameWidth = boxSize.width + 2 * frame.padding;
/** Pixels between lines of the same two boxes. */
const lineGap = 14;

const style = `
    svg { color-scheme: light dark; font-family: system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', sans-serif; font-size: 13px }
    .page { fill: #ffffff } .frame { fill: #f4f6f9; stroke: #d5dbe3 } .box { fill: #ffffff; stroke: #8593a6; stroke-width: 1.25 }
    .name { fill: #16202c; font-size: 16px; font-weight: 600 } .text { fill: #55626f } .team { fill: #55626f; font-weight: 600 }
    .line { fill: none; stroke-width: 1.75 } .event { stroke-dasharray: 5 4 }
    .call { stroke: #1f5fbf } .event { stroke: #b4540a } .callHead { fill: #1f5fbf } .eventHead { fill: #b4540a }
    @media (prefers-color-scheme: dark) {
      .page { fill: #0f151c } .frame { fill: #18212b; stroke: #303c49 } .box { fill: #212c38; stroke: #6b7a8c }
      .name { fill: #eef3f8 } .text, .team { fill: #a9b6c4 }
      .call { stroke: #79aef5 } .event { stroke: #f0a35e } .callHead { fill: #79aef5 } .eventHead { fill: #f0a35e }
    }
  `;

/** Draws the map as SVG: the gateway on top, and below it one column per team. */
export function drawMap({ services, links, common }: StoreMap): string {
  const gateways = services.filter(({ isGateway }) => isGateway);
  const others = services.filter(({ isGateway }) => !isGateway);
  const isInside = ({ from, to }: Link) =>
    [from, to].every((name) => others.some((one) => one.name === name));
  const inside = links.filter(isInside);
  const columns = arrangeColumns(listColumns(others), inside);
  const places = placeServices(columns);
  const { frameHeight, width } = measure(columns);
  const notes = [
    'An arrow between the gateway and a team stands for one or more services of the team.',
    ...common.map((link) => `Not drawn: ${describeCommon(link)} (${link.messages.join(', ')}).`),
  ];
  const legend = frame.top + frameHeight + 30;
  return [
    ...drawHead(width, legend + 10 + notes.length * 20 + margin),
    ...columns.flatMap((column, index) => drawFrame(column, index, frameHeight)),
    ...(gateways.length > 0 ? drawGateways(gateways, width) : []),
    ...columns.flatMap((column, index) =>
      drawGatewayLines(column, margin + index * pitch.x + frameWidth / 2, links, gateways),
    ),
    ...drawLines(inside, places),
    ...others.flatMap((service) =>
      drawBox(places.get(service.name)!, boxSize, service.name, [...service.uses, describeRoutes(service)]),
    ),
    ...drawLegend(legend),
    ...notes.map(
      (note, index) =>
        `  <text class="text" x="${margin}" y="${legend + 10 + (index + 1) * 20}">${escapeXml(note)}</text>`,
    ),
    '</svg>',
    '',
  ].join('\n');
}

/** The centers of the boxes of the services. */
function placeServices(columns: readonly Column[]): Map<string, Point> {
  const first = {
    x: margin + frame.padding + boxSize.width / 2,
    y: frame.top + frame.title + boxSize.height / 2,
  };
  return new Map(
    [...locateServices(columns)].map(([name, { x, y }]) => [name, { x: first.x + x, y: first.y + y }]),
  );
}

function measure(columns: readonly Column[]): { frameHeight: number; width: number } {
  const rows = columns[0]?.services.length ?? 0;
  return {
    frameHeight: frame.title + rows * pitch.y - (pitch.y - boxSize.height) + frame.padding,
    width: 2 * margin + Math.max(0, columns.length - 1) * pitch.x + frameWidth,
  };
}

const drawHead = (width: number, height: number): string[] => [
  `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img">`,
  '  <title>The services, their calls and their events</title>',
  `  <style>${style}</style>`,
  '  <defs>',
  ...(['call', 'event'] as const).map(
    (kind) =>
      `    <marker id="${kind}" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" markerUnits="userSpaceOnUse" orient="auto"><path class="${kind}Head" d="M0 0 8 4 0 8z"/></marker>`,
  ),
  '  </defs>',
  `  <rect class="page" width="${width}" height="${height}"/>`,
];

/** The frame around the services of a team. */
function drawFrame({ team }: Column, index: number, height: number): string[] {
  const x = margin + index * pitch.x;
  return [
    `  <rect class="frame" x="${x}" y="${frame.top}" width="${frameWidth}" height="${height}" rx="10"/>`,
    `  <text class="team" x="${x + frame.padding}" y="${frame.top + 22}">${escapeXml(team)}</text>`,
  ];
}

/** One box for all gateways, over the whole width. */
function drawGateways(gateways: readonly MappedService[], width: number): string[] {
  const center = { x: width / 2, y: gateway.top + gateway.height / 2 };
  const names = gateways.map(({ name }) => name).join(', ');
  const facts = gateways.flatMap(({ owner, uses }) => [...(owner ? [`${owner} team`] : []), ...uses]);
  const size = { width: width - 2 * margin, height: gateway.height };
  return drawBox(center, size, names, [[...new Set(facts)].join(' · ')]);
}

function listColumns(services: readonly MappedService[]): Column[] {
  const teams = Map.groupBy(services, ({ owner }) => (owner ? `${owner} team` : 'no team'));
  return [...teams]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([team, all]) => ({ team, services: all.map(({ name }) => name) }));
}

const describeRoutes = ({ routes: { length } }: MappedService): string =>
  length === 0 ? 'no public routes' : `${length} public route${length === 1 ? '' : 's'}`;

function drawBox(
  { x, y }: Point,
  { width, height }: typeof boxSize,
  name: string,
  lines: string[],
): string[] {
  const shown = lines.filter(Boolean);
  const top = y + 5.5 - shown.length * 8.5;
  return [
    `  <rect class="box" x="${x - width / 2}" y="${y - height / 2}" width="${width}" height="${height}" rx="7"/>`,
    `  <text class="name" text-anchor="middle" x="${x}" y="${top}">${escapeXml(name)}</text>`,
    ...shown.map(
      (line, index) =>
        `  <text class="text" text-anchor="middle" x="${x}" y="${top + 18 + index * 17}">${escapeXml(line)}</text>`,
    ),
  ];
}

/** The arrows between the gateway and a team: they stand for all services of the team. */
function drawGatewayLines(
  { services }: Column,
  x: number,
  links: readonly Link[],
  gateways: readonly MappedService[],
): string[] {
  const isGateway = (name: string) => gateways.some((one) => one.name === name);
  const isMember = (name: string) => services.includes(name);
  const [upper, lower] = [gateway.top + gateway.height, frame.top];
  const arrows = (['call', 'event'] as const).flatMap((kind) => {
    const own = links.filter((link) => link.kind === kind);
    const isDown = own.some(({ from, to }) => isGateway(from) && isMember(to));
    const isUp = own.some(({ from, to }) => isMember(from) && isGateway(to));
    return [
      ...(isDown ? [{ kind, y1: upper, y2: lower }] : []),
      ...(isUp ? [{ kind, y1: lower, y2: upper }] : []),
    ];
  });
  return arrows.map(({ kind, y1, y2 }, index) => {
    const shifted = x + (index - (arrows.length - 1) / 2) * lineGap;
    return drawLine(kind, { x: shifted, y: y1 }, { x: shifted, y: y2 });
  });
}

function drawLines(links: readonly Link[], places: ReadonlyMap<string, Point>): string[] {
  const pairs = Map.groupBy(links, ({ from, to }) => [from, to].sort().join(' '));
  return [...pairs.values()].flatMap((pair) =>
    pair.map(({ kind, from, to }, index) => {
      const shift = (index - (pair.length - 1) / 2) * lineGap;
      const [a, b] = [places.get(from)!, places.get(to)!];
      // The same side for both directions of a pair.
      const [start, end] = from < to ? [a, b] : [b, a];
      const length = Math.hypot(end.x - start.x, end.y - start.y);
      const offset = { x: (-(end.y - start.y) / length) * shift, y: ((end.x - start.x) / length) * shift };
      return drawLine(kind, findBorder(a, b, offset), findBorder(b, a, offset));
    }),
  );
}

/** Where the line from the center of a box to another one, moved by an offset, leaves the box. */
function findBorder(center: Point, target: Point, offset: Point): Point {
  const [dx, dy] = [target.x - center.x, target.y - center.y];
  const reachX = dx === 0 ? Infinity : (boxSize.width / 2 - Math.sign(dx) * offset.x) / Math.abs(dx);
  const reachY = dy === 0 ? Infinity : (boxSize.height / 2 - Math.sign(dy) * offset.y) / Math.abs(dy);
  const share = Math.min(reachX, reachY);
  return { x: center.x + offset.x + dx * share, y: center.y + offset.y + dy * share };
}

const drawLine = (kind: Link['kind'], from: Point, to: Point): string =>
  `  <path class="line ${kind}" d="M${round(from.x)} ${round(from.y)} ${round(to.x)} ${round(to.y)}" marker-end="url(#${kind})"/>`;

const drawLegend = (y: number): string[] => [
  drawLine('call', { x: margin, y }, { x: margin + 40, y }),
  `  <text class="text" x="${margin + 50}" y="${y + 4}">calls: commands and queries</text>`,
  drawLine('event', { x: margin + 270, y }, { x: margin + 310, y }),
  `  <text class="text" x="${margin + 320}" y="${y + 4}">events, to the service that receives them</text>`,
];

const round = (value: number): number => Math.round(value * 10) / 10;

const escapeXml = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;');
