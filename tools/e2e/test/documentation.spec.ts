import { existsSync, globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { createProgram } from '@jogakbo/cli/src/command-line/program.ts';
import { root } from '@jogakbo/cli/src/workspace.ts';
import { parseSteps, type Step } from '../src/page.ts';

const read = (path: string) => readFileSync(join(root, path), 'utf8');
const pages = globSync('{README,README.ko,CONTRIBUTING,docs/**/*}.md', {
  cwd: root,
  exclude: ['docs/reference/**', 'docs/map/**'],
}).sort();
const readmes = globSync('{deploy,apps,libs,tools}/*/README.md', { cwd: root });
const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> };

/** @returns the words of each command in a script, without quotes, comments and variables in front of it */
const splitCommands = (script: string): string[][] =>
  script
    .replaceAll('\\\n', ' ')
    .split(/\n|&&|\|/)
    .map((line) => [...line.replace(/(^|\s)#.*$/, '').matchAll(/'[^']*'|"[^"]*"|\S+/g)].map(([word]) => word))
    .map((words) => words.slice(words.findIndex((word) => !/^\w+=/.test(word))))
    .filter((words) => words.length > 0);

/** @returns what is wrong with a command line of this workspace */
function findUnknown(words: readonly string[]): string | undefined {
  const [program, name = '', ...rest] = words;
  if (program === 'npm') {
    const script = name === 'run' ? rest[0]! : name;
    const isBuiltIn = ['ci', 'install', 'pack', 'ping'].includes(script);
    return isBuiltIn || scripts[script] ? undefined : `there is no script ${script}`;
  }
  if (program !== 'npx' || name !== 'jogakbo') return undefined;
  let command = createProgram();
  let index = 0;
  for (let next; (next = command.commands.find((one) => one.name() === rest[index])); index++) command = next;
  if (index === 0 && rest[0] && !rest[0].startsWith('-')) return `there is no command ${rest[0]}`;
  const end = rest.includes('--') ? rest.indexOf('--') : rest.length;
  return rest
    .slice(index, end)
    .filter((word) => /^--?[a-z]/.test(word))
    .map((word) => word.split('=')[0]!)
    .filter((flag) => !['--help', '--version'].includes(flag))
    .filter((flag) => !command.options.some(({ short, long }) => [short, long].includes(flag)))
    .map((flag) => `${command.name()} has no option ${flag}`)[0];
}

const listSkipped = (path: string): Step[] =>
  parseSteps(read(path)).filter(({ attributes }) => attributes['skip'] !== undefined);

describe('the documentation', () => {
  it('has a page of each kind', () => {
    expect(pages).toEqual(
      expect.arrayContaining([
        ...['README.md', 'docs/tutorial.md', 'docs/ko/tutorial.md', 'docs/how-to/deploy.md'],
        ...['docs/explanation/services.md', 'docs/decisions/001-swagger-ui.md', 'docs/glossary.md'],
      ]),
    );
  });

  it('names commands that exist, where it does not run them', () => {
    const spans = [...pages, ...readmes].flatMap((path) =>
      [...read(path).matchAll(/`((?:npx jogakbo|npm) [^`]+)`/g)].map(([, text]) => [path, text!] as const),
    );
    const skipped = pages.flatMap((path) => listSkipped(path).map(({ text }) => [path, text] as const));
    expect(spans.length).toBeGreaterThan(50);
    expect(skipped.length).toBeGreaterThan(3);
    const wrong = [...spans, ...skipped].flatMap(([path, text]) =>
      splitCommands(text).flatMap((words) => {
        const problem = findUnknown(words);
        return problem ? [`${path}: ${words.join(' ')}: ${problem}`] : [];
      }),
    );
    expect(wrong).toEqual([]);
  });

  it('says why it does not run a command', () => {
    const reasons = pages.flatMap((path) => listSkipped(path).map(({ attributes }) => attributes['skip']!));
    expect(reasons.filter((reason) => reason.length < 5)).toEqual([]);
  });

  it('names files and folders that exist', () => {
    const isExample = /reviews|gifts|<|\*|…|\{/;
    const missing = pages.flatMap((path) =>
      [...read(path).matchAll(/`((?:apps|libs|tools|deploy)\/[^`\s]+)`/g)]
        .map(([, file]) => file!)
        .filter((file) => !isExample.test(file) && !existsSync(join(root, file)))
        .map((file) => `${path}: ${file}`),
    );
    expect(missing).toEqual([]);
  });
});

it('the tutorial in Korean has the same steps as the English one', () => {
  const [english, korean] = ['docs/tutorial.md', 'docs/ko/tutorial.md'].map((path) =>
    parseSteps(read(path)).map(({ line: _, text, ...step }) => ({
      ...step,
      text: text.replace(/ +#.*$/gm, ''),
    })),
  );
  expect(english!.length).toBeGreaterThan(20);
  expect(korean).toEqual(english);
});

describe('the explanation', () => {
  const sections = globSync('docs/explanation/*.md', { cwd: root }).flatMap((path) =>
    read(path)
      .split(/^## /m)
      .slice(1)
      .map((text) => ({ title: text.split('\n')[0]!, text })),
  );

  it('says of each idea what it is, where it is, and what it costs', () => {
    const parts = ['**What it is.**', '**Where it is.**', '**What it costs.**'];
    const incomplete = sections.filter(({ text }) => !parts.every((part) => text.includes(part)));
    expect(incomplete.map(({ title }) => title)).toEqual([]);
  });

  it.each([
    ...['Independent services', 'Database per service', 'API gateway', 'Service discovery', 'Config server'],
    ...['Circuit breaker, retry, timeout, bulkhead', 'Service mesh concerns', 'Event bus', 'Saga', 'CQRS'],
    ...['Event sourcing', 'Tracing, metrics, logs', 'Backing services', 'Containers and orchestration'],
    ...['CI/CD', 'Polyglot', 'Testing at low cost', 'Serverless', 'Prediction and self-healing'],
    'Integrated console',
  ])('has %s', (title) => expect(sections.map((one) => one.title)).toContain(title));
});
