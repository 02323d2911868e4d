import type { Link } from './store-map.ts';

export interface Point {
  x: number;
  y: number;
}

/** The services of one team from top to bottom; undefined is an empty place. */
export interface Column {
  team: string;
  services: (string | undefined)[];
}

export const boxSize = { width: 168, height: 84 };
export const pitch = { x: 266, y: 140 };
/** Several swaps together can improve a drawing that no single one improves; limits the time for large stores. */
const maxCandidates = 20_000;

type Segment = readonly [Point, Point];

/**
 * Finds places at which few lines cross each other or a box: swaps places while that improves the drawing. Deterministic.
 * @param links lines between services of the columns
 */
export function arrangeColumns(columns: readonly Column[], links: readonly Link[]): Column[] {
  let best = padColumns(columns);
  let bestCost = computeCost(best, links);
  const count = [...listSwaps(best, 1)].length;
  for (let swaps = 1; swaps <= 3 && count ** swaps <= maxCandidates; swaps += 1) {
    for (const candidate of listSwaps(best, swaps)) {
      const cost = computeCost(candidate, links, bestCost);
      if (cost >= bestCost) continue;
      [best, bestCost, swaps] = [candidate, cost, 0];
      break;
    }
  }
  return best;
}

/** The center of each service's box, relative to the center of the first place. */
export const locateServices = (columns: readonly Column[]): Map<string, Point> =>
  new Map(
    columns.flatMap(({ services }, column) =>
      services.flatMap((name, row) =>
        name === undefined ? [] : [[name, { x: column * pitch.x, y: row * pitch.y }] as const],
      ),
    ),
  );

function padColumns(columns: readonly Column[]): Column[] {
  const rows = Math.max(0, ...columns.map(({ services }) => services.length));
  return columns.map(({ team, services }) => ({
    team,
    services: Array.from({ length: rows }, (_, row) => services[row]),
  }));
}

/** Every arrangement after this many swaps of two columns, or of two places of one column. */
function* listSwaps(columns: Column[], swaps: number): Generator<Column[]> {
  if (swaps === 0) return yield columns;
  for (const [a, b] of listPairs(columns.length)) yield* listSwaps(swap(columns, a, b), swaps - 1);
  for (const [index, { team, services }] of columns.entries())
    for (const [a, b] of listPairs(services.length))
      yield* listSwaps(columns.with(index, { team, services: swap(services, a, b) }), swaps - 1);
}

const listPairs = (length: number): [number, number][] =>
  Array.from({ length }, (_, b) => Array.from({ length: b }, (_, a): [number, number] => [a, b])).flat();

const swap = <T>(all: readonly T[], a: number, b: number): T[] => all.with(a, all[b]!).with(b, all[a]!);

/** @param limit the computation ends when the cost reaches it */
function computeCost(columns: readonly Column[], links: readonly Link[], limit = Infinity): number {
  const places = locateServices(columns);
  const lines = links.map(({ from, to }): Segment => [places.get(from)!, places.get(to)!]);
  const isEnd = (point: Point, [from, to]: Segment) => point === from || point === to;
  let cost = 0;
  for (const [index, line] of lines.entries()) {
    if (cost >= limit) return cost;
    const [from, to] = line;
    cost += Math.hypot(to.x - from.x, to.y - from.y) / pitch.y;
    for (const box of places.values()) if (!isEnd(box, line) && crossesBox(line, box)) cost += 50;
    for (const other of lines.slice(0, index))
      if (!isEnd(from, other) && !isEnd(to, other) && doCross(line, other)) cost += 5;
  }
  return cost;
}

/** A line through a rectangle crosses at least one of its diagonals. */
function crossesBox(line: Segment, { x, y }: Point): boolean {
  const [dx, dy] = [boxSize.width / 2 + 8, boxSize.height / 2 + 8];
  return (
    doCross(line, [
      { x: x - dx, y: y - dy },
      { x: x + dx, y: y + dy },
    ]) ||
    doCross(line, [
      { x: x - dx, y: y + dy },
      { x: x + dx, y: y - dy },
    ])
  );
}

function doCross([a, b]: Segment, [c, d]: Segment): boolean {
  return getSide(a, b, c) !== getSide(a, b, d) && getSide(c, d, a) !== getSide(c, d, b);
}

/** 1 or -1 for a point on one side of the line through `p` and `q`, 0 for one on it. */
const getSide = (p: Point, q: Point, r: Point): number =>
  Math.sign((q.x - p.x) * (r.y - p.y) - (q.y - p.y) * (r.x - p.x));
