import { existsSync, globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { root } from '../src/workspace.ts';

const read = (path: string) => readFileSync(join(root, path), 'utf8');
const readmes = globSync('{.,{apps,libs,libs/contracts,tools}/*}/README*.md', { cwd: root });

describe('the READMEs', () => {
  it('name programs so that they run on the Node of the workspace, whatever the machine has', () => {
    expect(readmes.length).toBeGreaterThan(10);
    const wrong = readmes.filter((path) => /(?<!npx )\bnode apps\//.test(read(path)));
    expect(wrong).toEqual([]);
  });
});

it('npx finds the command in the workspace: with a `bin` of the root it would link the workspace at each call', () => {
  expect(JSON.parse(read('package.json'))).not.toHaveProperty('bin');
  expect(JSON.parse(read('tools/cli/package.json')).bin).toEqual({ jogakbo: './jogakbo.mjs' });
  expect(existsSync(join(root, 'node_modules', '.bin', 'jogakbo'))).toBe(true);
});

describe('a README in Korean', () => {
  interface Section {
    level: number;
    /** Commands and their like: the same in every language. What a person reads in them may be translated. */
    code: string[];
    /** Names in running text, in no order. */
    names: string[];
  }

  const withoutWords = (code: string) =>
    code
      .replace(/ *#(?! \{).*$/gm, '')
      .replace(/--reason "[^"]*"/g, '--reason "…"')
      .trim();

  function parseSections(text: string): Section[] {
    const blocks: string[] = [];
    // A comment in a block begins like a heading. A drawing has words in it, and no language.
    const prose = text.replace(/^```(\w*)\n(.*?)^```/gms, (_block, language: string, body: string) => {
      blocks.push(language ? withoutWords(body) : 'drawing');
      return `[block ${blocks.length - 1}]`;
    });
    return prose.split(/^(?=#{1,4} )/m).map((section) => ({
      level: /^#*/.exec(section)![0].length,
      code: [...section.matchAll(/^\[block (\d+)\]/gm)].map(([, index]) => blocks[Number(index)]!),
      names: [...new Set(section.match(/`[^`]+`|(?<=\]\()[^)]+|https?:[^\s)`]+[\w/]/g))].sort(),
    }));
  }

  const korean = readmes.filter((path) => path.endsWith('.ko.md'));

  it.each(korean)('%s says the same as the English one, in the same order', (path) => {
    const [mine, english] = [path, path.replace('.ko.md', '.md')].map((one) => parseSections(read(one)));
    const of = <K extends keyof Section>(sections: Section[] | undefined, key: K) =>
      sections!.map((section) => section[key]);
    expect(of(mine, 'level')).toEqual(of(english, 'level'));
    expect(of(mine, 'code')).toEqual(of(english, 'code'));
    // The first one names the file in the other language.
    expect(of(mine, 'names').slice(1)).toEqual(of(english, 'names').slice(1));
  });

  it('is there', () => expect(korean).toContain('README.ko.md'));
});
