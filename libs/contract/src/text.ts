import { z } from 'zod';

/** Scripts whose letters join: only between these do U+200C and U+200D change what a reader sees. */
const joining = ['Arabic', 'Syriac', 'Mongolian', 'Devanagari', 'Bengali', 'Gurmukhi', 'Gujarati', 'Oriya']
  .concat(['Tamil', 'Telugu', 'Kannada', 'Malayalam', 'Sinhala'])
  .map((script) => `\\p{Script=${script}}`)
  .join('');

/** Invisible characters that belong to the character beside them: joiners, emoji sequences, variants of an ideograph. */
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
 * Control characters, separators of lines, everything that Unicode calls ignorable (bidirectional controls, joiners, fillers,
 * tags), the blank Braille pattern, private use, half surrogate pairs and noncharacters.
 */
const unfit =
  /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}\u2800\p{Co}\p{Cs}\p{Noncharacter_Code_Point}]/u;
const visible = /[\p{L}\p{N}\p{P}\p{S}]/u;

const isFit = (text: string): boolean => !unfit.test(text.replace(visibleInContext, ''));

/**
 * For input: one line that people read, such as a name, a label or a line of an address. Normalised (NFC) and trimmed, at
 * least one visible character, none that is invisible or changes the direction of what stands beside it.
 * @param max characters (UTF-16 code units)
 */
export const lineOfText = (max: number) =>
  z
    .string()
    .normalize('NFC')
    .trim()
    .min(1)
    .max(max)
    .refine(isFit, 'must not hold control, bidirectional or invisible characters')
    .refine((text) => text === '' || visible.test(text), 'must hold a visible character');

/**
 * For input: like `lineOfText`, with line breaks and tabs, and may be empty.
 * @param max characters (UTF-16 code units)
 */
export const multilineText = (max: number) =>
  z
    .string()
    .normalize('NFC')
    .trim()
    .max(max)
    .refine(
      (text) => isFit(text.replace(/[\t\n\r]/g, ' ')),
      'must not hold control, bidirectional or invisible characters other than line breaks and tabs',
    );
