import { createHash } from 'node:crypto';

/** The five traditional Korean colours (obangsaek) and colours between them. */
const colours = [
  'c8102e',
  '1d4e89',
  'f2b134',
  'f7f3e9',
  '2b2b2b',
  '4a7c59',
  'e58fa3',
  '7a4988',
  '8fb8de',
  'd9763d',
];

/** Creates a patchwork image as a data URL, always the same for the same name. */
export function createPatchwork(name: string): string {
  const bytes = createHash('sha256').update(name).digest();
  // Steps of three through ten colours: neighbours always differ.
  const colour = (piece: number) => colours[(bytes[3]! + 3 * piece) % colours.length]!;
  const column = 2 + (bytes[0]! % 3);
  const upper = 2 + (bytes[1]! % 3);
  const lower = 3 + (bytes[2]! % 3);
  const pieces = [
    [colour(0), 0, 0, column, upper],
    [colour(1), column, 0, 8 - column, lower],
    [colour(2), 0, upper, column, 8 - upper],
    [colour(3), column, lower, 3, 8 - lower],
    [colour(4), column + 3, lower, 5 - column, 8 - lower],
  ];
  const paths = pieces.map(
    ([fill, x, y, width, height]) => `<path fill='#${fill}' d='M${x} ${y}h${width}v${height}h-${width}z'/>`,
  );
  const svg = `<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 8 8'>${paths.join('')}</svg>`;
  return `data:image/svg+xml,${svg.replace(/[<>#]/g, (sign) => encodeURIComponent(sign)).replaceAll(' ', '%20')}`;
}
