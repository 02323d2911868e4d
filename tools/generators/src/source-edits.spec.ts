import { describe, expect, it } from '@jest/globals';
import { SourceEdits } from './source-edits.ts';

const edit = (text: string, change: (edits: SourceEdits) => void): string => {
  const edits = new SourceEdits('a.ts', text);
  change(edits);
  return edits.text;
};

const serviceModule = (options: string): string =>
  `@Service({ ${options} })\nexport class LettersModule {}\n`;
const addHandler = (options: string) =>
  edit(serviceModule(options), (edits) => edits.addToService('handlers', 'B'));

describe('an import', () => {
  const add = (text: string, name: string, module: string) =>
    edit(text, (edits) => edits.addImport(name, module));

  it('extends the existing one, in order', () => {
    expect(add(`import { a, c } from 'm';\n`, 'b', 'm')).toBe(`import { a, b, c } from 'm';\n`);
    expect(add(`import { a } from 'm';\n`, 'b', 'm')).toBe(`import { a, b } from 'm';\n`);
    expect(add(`import {\n  a,\n} from 'm';\n`, 'b', 'm')).toBe(`import {\n  a, b,\n} from 'm';\n`);
  });

  it('is not repeated', () => {
    const text = `import { a } from 'm';\n`;
    expect(add(text, 'a', 'm')).toBe(text);
  });

  it('is separate from a type-only one', () => {
    expect(add(`import type { a } from 'm';\n`, 'b', 'm')).toBe(
      `import type { a } from 'm';\nimport { b } from 'm';\n`,
    );
  });

  it('has its place: packages, folders above, this folder, each by name', () => {
    const text = [`import 'p';`, `import { x } from '../x.ts';`, `import { b } from './b.ts';`, ''].join(
      '\n',
    );
    expect(add(text, 'n', 'n')).toBe(`import { n } from 'n';\n${text}`);
    expect(add(text, 'a', './a.ts').split('\n')[2]).toBe(`import { a } from './a.ts';`);
    expect(add(text, 'c', './c.ts').split('\n')[3]).toBe(`import { c } from './c.ts';`);
    expect(add(text, 'w', '../w.ts').split('\n')[1]).toBe(`import { w } from '../w.ts';`);
    expect(add('const a = 1;\n', 'b', 'm')).toBe(`import { b } from 'm';\n\nconst a = 1;\n`);
  });
});

describe('an element of a list of @Service', () => {
  it.each([
    ['handlers: [A]', 'handlers: [A, B]'],
    ['handlers: []', 'handlers: [B]'],
    ['handlers: [\n  // the first\n  A,\n]', 'handlers: [\n  // the first\n  A, B,\n]'],
    ['contract: letters', 'contract: letters,\nhandlers: [B]'],
    ['handlers: [A, B]', 'handlers: [A, B]'],
  ])('%j becomes %j', (before, after) => expect(addHandler(before)).toBe(serviceModule(after)));

  it.each(['handlers: all', 'handlers', 'handlers: [A].concat(more)'])('is not added to %j', (options) => {
    expect(() => addHandler(options)).toThrow('not written as a list');
  });

  it('comes after the other spreads, before the own migrations', () => {
    const add = (options: string) =>
      edit(serviceModule(options), (edits) => edits.addSpreadToService('migrations', 'more'));
    expect(add('migrations: [...some, A1]')).toBe(serviceModule('migrations: [...some, ...more, A1]'));
    expect(add('migrations: [...some]')).toBe(serviceModule('migrations: [...some, ...more]'));
    expect(add('migrations: [...more, A1]')).toBe(serviceModule('migrations: [...more, A1]'));
  });
});

it('adds statements at the end', () => {
  expect(edit('const a = 1;\n\n', (edits) => edits.append('\nconst b = 2;'))).toBe(
    'const a = 1;\n\nconst b = 2;\n',
  );
});

it('rejects a name that the file has', () => {
  const edits = new SourceEdits('a.ts', `import { A } from 'm';\nexport const B = 1;\nexport class C {}\n`);
  for (const name of ['A', 'B', 'C'])
    expect(() => edits.assertFree(name)).toThrow(`already has the name ${name}`);
  expect(() => edits.assertFree('D')).not.toThrow();
});

it('rejects a file with a syntax error, with its line', () => {
  expect(() => new SourceEdits('a.ts', 'const a = 1;\nconst = 2;\n')).toThrow('a.ts:2: ');
});
