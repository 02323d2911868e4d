import { describe, expect, it } from '@jest/globals';
import type { Command } from 'commander';
import { createProgram } from '../command-line/program.ts';
import { readJson } from '../supervisor/state.ts';
import { join } from 'node:path';
import { root } from '../workspace.ts';
import { listSteps, type Pipeline, pipelines } from './pipelines.ts';

const options = { base: 'origin/main', url: 'https://store.example', environment: 'staging' };
const list = (pipeline: Pipeline) => listSteps(pipeline, options);
const { scripts } = readJson<{ scripts: Record<string, string> }>(join(root, 'package.json'))!;

/** The problem of a command of `jogakbo`; undefined if it exists with these options. */
function findProblem(args: readonly string[]): string | undefined {
  let command: Command = createProgram();
  const rest = [...args];
  for (;;) {
    const next = command.commands.find((one) => one.name() === rest[0]);
    if (!next) break;
    command = next as Command;
    rest.shift();
  }
  if (command.commands.length > 0) return `there is no command ${args.join(' ')}`;
  const known = command.options.map(({ long }) => long);
  return rest
    .slice(0, rest.includes('--') ? rest.indexOf('--') : undefined)
    .find((word) => word.startsWith('--') && !known.includes(word));
}

describe.each(pipelines)('the pipeline %s', (pipeline) => {
  it('has steps with different names', () => {
    const names = list(pipeline).map(({ name }) => name);
    expect(names.length).toBeGreaterThan(2);
    expect(new Set(names).size).toBe(names.length);
  });

  it('consists of commands and scripts that exist', () => {
    for (const { command } of list(pipeline)) {
      const [program, ...args] = command;
      if (program === 'npm') expect(scripts).toHaveProperty([args[1]!]);
      else if (args[0]?.endsWith('main.ts'))
        expect([args[1], findProblem(args.slice(1))]).toEqual([args[1], undefined]);
      else expect(program).toMatch(/node_modules\/\.bin\/nx$/);
    }
  });
});

describe('the pipeline of a pull request', () => {
  it('checks only what the change affects', () => {
    const targets = list('pull-request').flatMap(({ command }) =>
      command.includes('affected')
        ? command.slice(command.indexOf('affected') + 1, command.indexOf('--base'))
        : [],
    );
    expect(targets).toEqual(['lint', 'typecheck', 'build', 'test', 'integration']);
    for (const { command } of list('pull-request'))
      if (command.includes('affected'))
        expect(command).toEqual(expect.arrayContaining(['--base', 'origin/main']));
  });

  it('compares contracts only with a store that it can reach', () => {
    const names = listSteps('pull-request', { base: 'main', url: undefined }).map(({ name }) => name);
    expect(names).toEqual(['lint', 'typecheck', 'build', 'test', 'plan']);
    expect(list('pull-request').map(({ name }) => name)).toContain('contracts');
  });

  it('adds the plan of an environment to the comment, if one is configured', () => {
    const steps = list('pull-request');
    const [plan, environment] = steps.slice(-2);
    expect(environment!.command.slice(-4)).toEqual(['deploy', '--plan', '--environment', 'staging']);
    expect(environment).toMatchObject({ output: plan!.output, appends: true, optional: true });
  });
});

it('main tests the store after the deployment, and can go back', () => {
  const steps = list('main');
  expect(steps.map(({ name }) => name)).toEqual(['build', 'contracts', 'deploy', 'smoke']);
  expect(steps.at(-1)!.undo).toBeDefined();
});
