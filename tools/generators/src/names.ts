import ts from 'typescript';
import { GeneratorError } from './generator-error.ts';

/** `gift-card` → `GiftCard`. */
export const toPascalCase = (kebab: string): string =>
  kebab.replace(/(?:^|-)([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());

/** `gift-card` → `giftCard`. */
export const toCamelCase = (kebab: string): string =>
  kebab.replace(/-([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());

/** `gift-card` → `gift_card`. */
export const toSnakeCase = (kebab: string): string => kebab.replaceAll('-', '_');

/** `giftCard` → `gift-card`. */
export const toKebabCase = (camel: string): string =>
  camel.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);

/** `gift-card` → `gift card`. */
export const toWords = (kebab: string): string => kebab.replaceAll('-', ' ');

/** `gift-card` → `Gift card.` */
export const toSentence = (kebab: string): string => `${kebab[0]!.toUpperCase()}${toWords(kebab.slice(1))}.`;

/** `answer` → `an answer`. */
export const withArticle = (noun: string): string => `${/^[aeiou]/.test(noun) ? 'an' : 'a'} ${noun}`;

/** The regular English plural. */
export function toPlural(noun: string): string {
  if (/[^aeiou]y$/.test(noun)) return noun.replace(/y$/, 'ies');
  return /(s|x|z|ch|sh)$/.test(noun) ? `${noun}es` : `${noun}s`;
}

/** The singular of a regular English plural. Other words stay. */
export function toSingular(noun: string): string {
  if (/[^aeiou]ies$/.test(noun)) return noun.replace(/ies$/, 'y');
  if (/(ss|x|ch|sh)es$/.test(noun)) return noun.replace(/es$/, '');
  return /[^su]s$/.test(noun) ? noun.replace(/s$/, '') : noun;
}

/** Whether TypeScript reserves the word, also in strict mode. */
function isReservedWord(word: string): boolean {
  const scanner = ts.createScanner(ts.ScriptTarget.Latest, true, ts.LanguageVariant.Standard, word);
  const kind = scanner.scan();
  const isReserved = kind >= ts.SyntaxKind.FirstReservedWord && kind <= ts.SyntaxKind.LastFutureReservedWord;
  return isReserved || ['arguments', 'await', 'eval', 'undefined'].includes(word);
}

/** Names of logins, databases, logs, setting profiles and projects of the platform, and of what contracts import. */
const platformNames = new Set([
  ...[
    'application',
    'broker',
    'database',
    'dense',
    'jogakbo',
    'operator',
    'postgres',
    'public',
    'supervisor',
  ],
  ...['rabbitmq', 'test', 'workspace', 'contracts', 'service', 'services', 'sensitive', 'z'],
]);

const maximumLength = 40;

/** @throws GeneratorError unless it can be the name of a service: of its login, its database and its constant */
export function assertServiceName(name: string): void {
  if (!/^[a-z]+$/.test(name)) {
    const proposal = name.toLowerCase().replace(/[^a-z]/g, '');
    throw new GeneratorError(
      `"${name}" cannot be the name of a service: it may contain only the letters a to z, in lower case.`,
      proposal ? `Try "${proposal}".` : undefined,
    );
  }
  if (name.length > maximumLength)
    throw new GeneratorError(`"${name}" is too long: use at most ${maximumLength} letters.`);
  if (isReservedWord(name))
    throw new GeneratorError(`"${name}" is a reserved word of TypeScript: choose another name.`);
  if (platformNames.has(name))
    throw new GeneratorError(`"${name}" is reserved by the platform: choose another name.`);
}

/** Names that generated code imports or uses: a class or a constant of the same name would hide them. */
const usedNames = new Set([
  'Member',
  ...['Body', 'Column', 'Controller', 'DataSource', 'Entity', 'Handles', 'HandlerOutput', 'Id', 'LessThan'],
  ...['Logger', 'PrimaryColumn', 'Service', 'Timestamp', 'UnitOfWork'],
]);

/**
 * @param what of the name, for the error: `command`
 * @throws GeneratorError unless it is in kebab-case and can be the name of a class
 */
export function assertKebabName(name: string, what: string): void {
  if (!/^[a-z][a-z0-9]*(-[a-z0-9]+)*$/.test(name) || name.length > maximumLength)
    throw new GeneratorError(
      `"${name}" cannot be the name of ${withArticle(what)}: use at most ${maximumLength} lower-case letters, digits and single hyphens.`,
    );
  const pascal = toPascalCase(name);
  if (usedNames.has(pascal) || pascal in globalThis)
    throw new GeneratorError(
      `"${name}" cannot be the name of ${withArticle(what)}: ${pascal} is used by the generated code or by JavaScript.`,
      'Use a longer name.',
    );
}

/** @throws GeneratorError unless it can be the name of an entity: of its class, its variable and its file */
export function assertEntityName(name: string): void {
  assertKebabName(name, 'entity');
  if (isReservedWord(toCamelCase(name)) || name === 'main')
    throw new GeneratorError(
      `"${name}" cannot be the name of an entity: it is a reserved word.`,
      'Choose another one with --entity.',
    );
}

/** @throws GeneratorError unless it can be the name of a constant. @param what as in `assertKebabName` */
export function assertConstantName(name: string, what: string): void {
  assertKebabName(name, what);
  if (isReservedWord(toCamelCase(name)))
    throw new GeneratorError(`"${name}" cannot be the name of ${withArticle(what)}: it is a reserved word.`);
}

/** The reserved words of PostgreSQL without underscores (https://www.postgresql.org/docs/current/sql-keywords-appendix.html). */
const sqlWords = new Set(
  (
    'all analyse analyze and any array as asc asymmetric both case cast check collate column constraint create default ' +
    'deferrable desc distinct do else end except false fetch for foreign from grant group having in initially intersect ' +
    'into lateral leading limit localtime localtimestamp not null offset on only or order placing primary references ' +
    'returning select some symmetric table then to trailing true union unique user using variadic when where window with'
  ).split(' '),
);

/** The name as SQL, in quotes if it is a reserved word. */
export const toSqlName = (name: string): string => (sqlWords.has(name) ? `"${name}"` : name);
