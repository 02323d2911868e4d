/** C0 and C1 controls, DEL, bidirectional controls and the line separators of Unicode: a terminal could execute them or show forged text. */
const controlCharacters = /[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;
const short: Record<string, string> = { '\n': '\\n', '\r': '\\r', '\t': '\\t' };
const escapeCharacter = (character: string): string =>
  short[character] ?? `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;

/** Escapes control characters of untrusted text (of a service, message or API response) for a terminal. JSON keeps its value. */
export const toPrintable = (text: string): string => text.replace(controlCharacters, escapeCharacter);

/** The same for text of several lines. Indent the lines where one could be mistaken for CLI output. */
export const toPrintableLines = (text: string): string => text.split('\n').map(toPrintable).join('\n');

/** Formats a value as indented JSON, with control characters escaped. */
export const toPrintableJson = (value: unknown): string => toPrintableLines(JSON.stringify(value, null, 2));

/** Quotes text as a single shell word, for commands that users copy. */
export const quoteForShell = (text: string): string =>
  /^[\w.:~@%+=,/-]+$/.test(text) ? text : `'${toPrintable(text).replaceAll("'", `'\\''`)}'`;
