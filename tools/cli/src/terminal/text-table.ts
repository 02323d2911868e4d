import { toPrintable } from './printable.ts';

/** Aligns columns to their widest cell and trims the line ends. Escapes control characters. */
export function formatTable(cells: readonly (readonly string[])[], indent = ''): string[] {
  const rows = cells.map((row) => row.map(toPrintable));
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  return rows.map(
    (row) =>
      indent +
      row
        .map((cell, column) => cell.padEnd(widths[column]!))
        .join('  ')
        .trimEnd(),
  );
}

/** A table of at most `columns` characters. Cells of the widest columns are truncated with an ellipsis. */
export function fitTable(cells: readonly (readonly string[])[], columns: number): string[] {
  const rows = cells.map((row) => row.map(toPrintable));
  const longest = (column: number) => Math.max(...rows.map((row) => row[column]!.length));
  const widths = rows[0]!.map((_, column) => longest(column));
  let excess = widths.reduce((sum, width) => sum + width, 2 * (widths.length - 1)) - columns;
  for (; excess > 0; excess -= 1) widths[widths.indexOf(Math.max(...widths))]! -= 1;
  const cut = (text: string, width: number) => (text.length > width ? `${text.slice(0, width - 1)}…` : text);
  return formatTable(rows.map((row) => row.map((cell, column) => cut(cell, widths[column]!))));
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
