import Table from 'cli-table3';
import stringWidth from 'string-width';
import { toPrintable } from './printable.ts';

/** Only columns, without lines between the cells. */
const noLines = Object.fromEntries(
  ['top', 'bottom', 'left', 'right']
    .flatMap((side) => [side, `${side}-mid`, `${side}-left`, `${side}-right`])
    .concat('mid', 'mid-mid', 'middle')
    .map((name) => [name, '']),
);
const gap = 2;

/**
 * Aligns columns to their widest cell and trims the line ends. Escapes control characters.
 * @param widths of the columns, in characters of a terminal; longer cells end with an ellipsis
 */
export function formatTable(
  cells: readonly (readonly string[])[],
  indent = '',
  widths?: readonly number[],
): string[] {
  const table = new Table({
    chars: noLines,
    style: { 'padding-left': 0, 'padding-right': gap, head: [], border: [] },
    ...(widths && { colWidths: widths.map((width) => width + gap) }),
  });
  table.push(...cells.map((row) => row.map(toPrintable)));
  return table
    .toString()
    .split('\n')
    .map((line) => (indent + line).trimEnd());
}

/** A table of at most `columns` characters. Cells of the widest columns are truncated with an ellipsis. */
export function fitTable(cells: readonly (readonly string[])[], columns: number): string[] {
  const rows = cells.map((row) => row.map((cell) => stringWidth(toPrintable(cell))));
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!)));
  let excess = widths.reduce((sum, width) => sum + width, gap * (widths.length - 1)) - columns;
  for (; excess > 0; excess -= 1) widths[widths.indexOf(Math.max(...widths))]! -= 1;
  return formatTable(cells, '', widths);
}

export const formatMegabytes = (bytes: number): string =>
  bytes ? `${Math.round(bytes / 1024 ** 2)} MB` : '';

export function formatDuration(milliseconds: number): string {
  const seconds = Math.round(milliseconds / 1000);
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
  const minutes = Math.floor(seconds / 60);
  return minutes < 1440
    ? `${Math.floor(minutes / 60)} h ${minutes % 60} min`
    : `${Math.floor(minutes / 1440)} d ${Math.floor((minutes % 1440) / 60)} h`;
}

/** For example `12h 5m`. */
export const formatShortDuration = (milliseconds: number): string =>
  formatDuration(milliseconds)
    .replace(' min', 'm')
    .replace(/ ([shd])/g, '$1');
