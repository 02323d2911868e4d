import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { nodePath, nxPath, root } from '../workspace.ts';

export const pipelines = ['pull-request', 'main', 'nightly'] as const;
export type Pipeline = (typeof pipelines)[number];

export const isPipeline = (name: string): name is Pipeline => (pipelines as readonly string[]).includes(name);

/** One step of a pipeline: a command that works alone, too. */
export interface Step {
  name: string;
  /** What it checks or does, in a few words. */
  title: string;
  command: readonly string[];
  /** The file, relative to the workspace, that keeps what the command prints on stdout. */
  output?: string;
  /** Adds to that file instead of replacing it. */
  appends?: boolean;
  /** Its failure does not fail the pipeline. */
  optional?: boolean;
  /** What undoes earlier steps if this one fails. */
  undo?: { title: string; listCommands: () => readonly (readonly string[])[] };
  /** Runs also after a failure: it ends what an earlier step has started. */
  always?: boolean;
}

export interface PipelineOptions {
  /** The commit that a pull request is compared with. */
  base: string;
  /**
   * The address of a running store. `main` tests it; by default the one on this machine, which it deploys to. A pull request
   * is compared with its contracts.
   */
  url: string | undefined;
  /** The environment whose plan a pull request shows. */
  environment?: string | undefined;
}

/** What a pull request would deploy, for the comment on it. */
export const planFile = '.jogakbo/ci/plan.txt';

const jogakbo = (...args: string[]) => [nodePath(), join('tools', 'cli', 'src', 'main.ts'), ...args];
const script = (name: string, ...args: string[]) => [
  'npm',
  'run',
  name,
  ...(args.length ? ['--', ...args] : []),
];

const checkContracts: Step = {
  name: 'contracts',
  title: 'no service that runs would break',
  command: jogakbo('contracts', 'check'),
};
/** What a deployment would do now, also with what earlier changes have left. No reason to stop a change if that fails. */
const showEnvironmentPlan = (environment: string): Step => ({
  name: 'environment',
  title: `what a deployment to ${environment} would change`,
  command: jogakbo('deploy', '--plan', '--environment', environment),
  ...{ output: planFile, appends: true, optional: true },
});
const buildAll = [nxPath(), 'run-many', '--targets', 'build', '--output-style=static'];

/** The services that were deployed for this reason, the last one first. */
function listDeployed(reason: string): string[] {
  const [program, ...args] = jogakbo('history', '--json', '--limit', '1000');
  const { stdout } = spawnSync(program!, args, { cwd: root, encoding: 'utf8' });
  const deployments = JSON.parse(stdout) as { service: string; reason: string; outcome: string }[];
  return deployments
    .filter((one) => one.reason === reason && one.outcome === 'promoted')
    .map(({ service }) => service);
}

/** The steps of a pipeline, in their order. */
export const listSteps = (pipeline: Pipeline, options: PipelineOptions): Step[] => steps[pipeline](options);

const steps: Record<Pipeline, (options: PipelineOptions) => Step[]> = {
  'pull-request': ({ base, url, environment }) => {
    const affected = (...targets: string[]) => jogakbo('affected', ...targets, '--base', base);
    return [
      { name: 'lint', title: 'the rules of the code, in affected projects', command: affected('lint') },
      { name: 'typecheck', title: 'the types of affected projects', command: affected('typecheck') },
      { name: 'build', title: 'affected services', command: affected('build') },
      {
        name: 'test',
        title: 'unit and integration tests of affected projects',
        command: jogakbo('with-backing-services', '--', ...affected('test', 'integration')),
      },
      ...(url ? [{ ...checkContracts, command: [...checkContracts.command, '--url', url] }] : []),
      {
        name: 'plan',
        title: 'which services the change deploys, and why',
        command: jogakbo('changes', '--base', base),
        output: planFile,
      },
      ...(environment ? [showEnvironmentPlan(environment)] : []),
    ];
  },
  main: ({ url }) => {
    // The history shows by the reason what this run has deployed.
    const reason = `ci ${process.env.GITHUB_RUN_ID ?? process.env.CI_PIPELINE_ID ?? new Date().toISOString()}`;
    return [
      { name: 'build', title: 'all services, for the check of their contracts', command: buildAll },
      checkContracts,
      {
        name: 'deploy',
        title: 'what differs from what runs; a version that is worse goes back by itself',
        command: jogakbo('deploy', '--wait', '--reason', reason),
      },
      {
        name: 'smoke',
        title: 'the store from outside',
        command: jogakbo('smoke', ...(url ? ['--url', url] : [])),
        undo: {
          title: 'every service that this run has deployed goes back to its previous version',
          listCommands: () =>
            listDeployed(reason).map((service) =>
              jogakbo('rollback', service, '--reason', 'the smoke test failed'),
            ),
        },
      },
    ];
  },
  nightly: () => [
    {
      name: 'test',
      title: 'all tests, with long attacks and outages and all mutants',
      command: script('test:full'),
    },
    {
      name: 'chaos',
      title: 'ten minutes of faults, and a check that nothing was lost',
      command: script('chaos'),
    },
    ...listBenchmarks(),
  ],
};

/** The benchmarks of the workspace: a product has its own, or none. */
function listBenchmarks(): Step[] {
  const file = readFileSync(join(root, 'package.json'), 'utf8');
  const { scripts } = JSON.parse(file) as { scripts: Record<string, string> };
  const all: Step[] = [
    { name: 'footprint', title: 'memory and time of a start', command: script('bench:footprint') },
    { name: 'gateway', title: 'the gateway beside Fastify alone', command: script('bench:gateway') },
  ];
  const onStore: Step[] = [
    { name: 'start', title: 'a store for the benchmark', command: jogakbo('start', '--detach') },
    { name: 'bench', title: 'work on the running store', command: script('bench') },
    { name: 'stop', title: 'the end of that store', command: jogakbo('stop'), always: true },
  ];
  const isHere = ({ command }: Step) => command[0] !== 'npm' || command[2]! in scripts;
  return [...all.filter(isHere), ...(onStore.every(isHere) ? onStore : [])];
}
