import { z } from 'zod';

/** Scripts whose letters join: only between them do U+200C and U+200D have a visible effect. */
const joining = ['Arabic', 'Syriac', 'Mongolian', 'Devanagari', 'Bengali', 'Gurmukhi', 'Gujarati', 'Oriya']
  .concat(['Tamil', 'Telugu', 'Kannada', 'Malayalam', 'Sinhala'])
  .map((script) => `\\p{Script=${script}}`)
  .join('');

/** Invisible characters that change an adjacent character: joiners, emoji sequences, ideographic variants. */
const visibleInContext = new RegExp(
  [
    `(?<=[${joining}])[\\u200c\\u200d](?=[${joining}])`,
    '(?<=\\p{Extended_Pictographic}[\\ufe0f\\p{Emoji_Modifier}]?)\\u200d(?=\\p{Extended_Pictographic})',
    '(?<=\\p{Emoji})[\\ufe0e\\ufe0f]',
    '(?<=\\p{Script=Han})[\\ufe00-\\ufe0f\\u{e0100}-\\u{e01ef}]',
  ].join('|'),
  'gu',
);

/**
 * Control characters, line separators, everything that Unicode calls ignorable (bidirectional controls, joiners, fillers,
 * tags), the blank Braille pattern, private use, half surrogate pairs and noncharacters.
 */
const forbidden =
  /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}\u2800\p{Co}\p{Cs}\p{Noncharacter_Code_Point}]/u;
const visible = /[\p{L}\p{N}\p{P}\p{S}]/u;

const isAllowed = (text: string): boolean => !forbidden.test(text.replace(visibleInContext, ''));

/**
 * For input: one line that people read, such as a name, a label or a line of an address. Normalised (NFC) and trimmed, with
 * at least one visible character, and without invisible and bidirectional characters.
 * @param max characters (UTF-16 code units)
 */
export const lineOfText = (max: number) =>
  z
    .string()
    .normalize('NFC')
    .trim()
    .min(1)
    .max(max)
    .refine(isAllowed, 'must not contain control, bidirectional or invisible characters')
    .refine((text) => text === '' || visible.test(text), 'must contain a visible character');

/**
 * For input: like `lineOfText`, but can contain line breaks and tabs, and can be empty.
 * @param max characters (UTF-16 code units)
 */
export const multilineText = (max: number) =>
  z
    .string()
    .normalize('NFC')
    .trim()
    .max(max)
    .refine(
      (text) => isAllowed(text.replace(/[\t\n\r]/g, ' ')),
      'must not contain control, bidirectional or invisible characters other than line breaks and tabs',
    );
