/** A table as Prettier formats it. @param rows the first row is the head */
export function formatMarkdownTable([head, ...rows]: readonly string[][]): string[] {
  const widths = head!.map((title, column) =>
    Math.max(3, title.length, ...rows.map((row) => row[column]!.length)),
  );
  const formatRow = (row: readonly string[]) =>
    `| ${row.map((cell, column) => cell.padEnd(widths[column]!)).join(' | ')} |`;
  return [head!, widths.map((width) => '-'.repeat(width)), ...rows].map(formatRow);
}

/** A name as a code span, also within a table. Names do not contain backticks. */
export const toCode = (name: string): string => `\`${name.replaceAll('|', String.raw`\|`)}\``;

/** A text of the code as Markdown: on one line, and without HTML, tables and templates of the site generator. */
export const toMarkdown = (text: string): string =>
  text
    .replace(/\s+/g, ' ')
    .split(/(`[^`]*`)/)
    .map((part) =>
      part.startsWith('`')
        ? part.replaceAll('|', String.raw`\|`)
        : part.replace(/[|*_[\]{}]/g, String.raw`\$&`).replaceAll('<', '&lt;'),
    )
    .join('');
