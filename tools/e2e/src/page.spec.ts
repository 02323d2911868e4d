import { describe, expect, it } from '@jest/globals';
import { applyDiff, matchesOutput, parseSteps } from './page.ts';

describe('the steps of a page', () => {
  const fence = '```';
  const page = [
    '# Title',
    `${fence}sh skip="needs a = cluster" exit="1"`,
    'kubectl get pods',
    'kubectl get jobs',
    fence,
    `${fence}text`,
    'NAME …',
    fence,
    `${fence}diff file="a.ts"`,
    '-old',
    '+new',
    fence,
    `${fence}text`,
    'not an output',
    fence,
    `${fence}ts`,
    'const one = 1;',
    fence,
    '',
  ].join('\n');

  it('are its commands and changes, with the output that it shows', () => {
    expect(parseSteps(page)).toEqual([
      {
        line: 2,
        language: 'sh',
        attributes: { skip: 'needs a = cluster', exit: '1' },
        text: 'kubectl get pods\nkubectl get jobs\n',
        output: 'NAME …\n',
      },
      { line: 9, language: 'diff', attributes: { file: 'a.ts' }, text: '-old\n+new\n' },
    ]);
  });
});

describe('an expected output', () => {
  const actual = 'started\n  orders   0.1.0-4f2a90c1d3  ready\nmore\ndone in 3.2 s\n';

  it.each([
    ['orders 0.1.0-… ready', true],
    ['started\norders …\ndone in … s', true],
    ['…\ndone in … s', true],
    ['done in … s\nstarted', false],
    ['orders 0.2.0-… ready', false],
  ])('%j matches: %s', (expected, isMatch) => expect(matchesOutput(expected, actual)).toBe(isMatch));
});

describe('a diff', () => {
  it('replaces lines, with those around them', () => {
    expect(applyDiff('a\n  b\nc\n  b\nd\n', ' c\n-  b\n+  e\n d\n')).toBe('a\n  b\nc\n  e\nd\n');
  });

  it('is refused unless its text occurs once', () => {
    expect(() => applyDiff('b\nb\n', '-b\n+c\n')).toThrow('does not occur once');
    expect(() => applyDiff('a\n', '-b\n+c\n')).toThrow('does not occur once');
  });
});
