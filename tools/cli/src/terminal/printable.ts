/**
 * C0 and C1 controls, DEL, marks that change the direction of text, and the line separators of Unicode: what a terminal
 * obeys, or shows as if somebody else had written it.
 */
const obeyed = /[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;
const short: Record<string, string> = { '\n': '\\n', '\r': '\\r', '\t': '\\t' };
const escaped = (character: string): string =>
  short[character] ?? `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;

/**
 * A text that others wrote (a service, a message, an answer of the API), for a terminal: on one line, and without what a
 * terminal obeys. A line of JSON stays JSON of the same value.
 */
export const printable = (text: string): string => text.replace(obeyed, escaped);

/** The same for a text of several lines, which stay lines: indent them where one could pass for a line of ours. */
export const printableLines = (text: string): string => text.split('\n').map(printable).join('\n');

/** A value as JSON for people, with the same value. */
export const printableJson = (value: unknown): string => printableLines(JSON.stringify(value, null, 2));

/** A word of a command line that is shown to be copied: no shell finds anything but the word in it. */
export const shellWord = (text: string): string =>
  /^[\w.:~@%+=,/-]+$/.test(text) ? text : `'${printable(text).replaceAll("'", `'\\''`)}'`;
