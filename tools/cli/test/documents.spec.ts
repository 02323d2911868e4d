import { existsSync, globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { root } from '../src/workspace.ts';

const read = (path: string) => readFileSync(join(root, path), 'utf8');
const readmes = globSync('{.,{apps,libs,libs/contracts,tools}/*}/README*.md', { cwd: root });

describe('the READMEs', () => {
  it('run programs with the Node version of the workspace', () => {
    expect(readmes.length).toBeGreaterThan(10);
    const wrong = readmes.filter((path) => /(?<!npx )\bnode apps\//.test(read(path)));
    expect(wrong).toEqual([]);
  });
});

describe('the glossary', () => {
  const glossary = read('docs/glossary.md');

  it('links to files that exist', () => {
    const links = [...glossary.matchAll(/\]\(\.\.\/([^)]+)\)/g)].map(([, path]) => path!);
    expect(links.length).toBeGreaterThan(30);
    expect(links.filter((path) => !existsSync(join(root, path)))).toEqual([]);
  });

  it('retires words that no other file uses', () => {
    const [, table = ''] = glossary.split('## Retired words');
    const retired = [...table.matchAll(/^\| ([a-z, ]+?) +\|/gm)].flatMap(([, words]) => words!.split(', '));
    expect(retired.length).toBeGreaterThan(10);
    const pattern = new RegExp(`\\b(${retired.join('|')})s?\\b`, 'gi');
    // Names of products and of a Unix account.
    const exceptions = /\/(seed-products|postgres-binaries)\.ts$/;
    const files = globSync(
      '{*,.ci/*,deploy/*,{apps,libs,tools}/**/*,docs/{,how-to,explanation,ko}/*}.{ts,mjs,md,yml,json}',
      {
        cwd: root,
        exclude: (path) => /(^|\/)(node_modules|dist)$/.test(path),
      },
    ).filter((path) => !['package-lock.json', 'docs/glossary.md'].includes(path) && !exceptions.test(path));
    for (const path of [
      'README.md',
      'package.json',
      'apps/gateway/src/main.ts',
      'tools/cli/test/documents.spec.ts',
    ])
      expect(files).toContain(path);
    const found = files.flatMap((path) =>
      [...read(path).matchAll(pattern)].map(([word]) => `${path}: ${word}`),
    );
    expect(found).toEqual([]);
  });
});

it('npx finds the command in the workspace', () => {
  // A `bin` in the root package.json would make npx link the workspace at each call.
  expect(JSON.parse(read('package.json'))).not.toHaveProperty('bin');
  expect(JSON.parse(read('tools/cli/package.json')).bin).toEqual({ jogakbo: './jogakbo.mjs' });
  expect(existsSync(join(root, 'node_modules', '.bin', 'jogakbo'))).toBe(true);
});

describe('a README in Korean', () => {
  interface Section {
    level: number;
    /** Code blocks: the same in every language, except comments and `--reason` texts. */
    code: string[];
    /** Code spans and links, sorted. */
    names: string[];
  }

  const removeWords = (code: string) =>
    code
      .replace(/ *#(?! \{).*$/gm, '')
      .replace(/--reason "[^"]*"/g, '--reason "…"')
      .trim();

  function parseSections(text: string): Section[] {
    const blocks: string[] = [];
    // Cuts out the blocks, because a comment in a block looks like a heading. Drawings are blocks without a language.
    const prose = text.replace(/^```(\w*)[^\n]*\n(.*?)^```/gms, (_block, language: string, body: string) => {
      blocks.push(language ? removeWords(body) : 'drawing');
      return `[block ${blocks.length - 1}]`;
    });
    return prose.split(/^(?=#{1,4} )/m).map((section) => ({
      level: /^#*/.exec(section)![0].length,
      code: [...section.matchAll(/^\[block (\d+)\]/gm)].map(([, index]) => blocks[Number(index)]!),
      names: [...new Set(section.match(/`[^`]+`|(?<=\]\()[^)]+|https?:[^\s)`]+[\w/]/g))].sort(),
    }));
  }

  const korean = readmes.filter((path) => path.endsWith('.ko.md'));

  it.each(korean)(
    '%s has the same sections, code and names as the English one, in the same order',
    (path) => {
      const [mine, english] = [path, path.replace('.ko.md', '.md')].map((one) => parseSections(read(one)));
      const pluck = <K extends keyof Section>(sections: Section[] | undefined, key: K) =>
        sections!.map((section) => section[key]);
      expect(pluck(mine, 'level')).toEqual(pluck(english, 'level'));
      expect(pluck(mine, 'code')).toEqual(pluck(english, 'code'));
      // The first section links to the file in the other language.
      expect(pluck(mine, 'names').slice(1)).toEqual(pluck(english, 'names').slice(1));
    },
  );

  it('exists', () => expect(korean).toContain('README.ko.md'));
});
