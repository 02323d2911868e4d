import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { readWorkspaceConfig } from '@jogakbo/contract/workspace';
import { nearestName } from '@jogakbo/service/nearest-name';
import { isPipeline, listSteps, pipelines, type Pipeline } from '../ci/pipelines.ts';
import { formatCommand, runSteps } from '../ci/run-steps.ts';
import { findMergeBase } from '../merge-base.ts';
import { UsageError } from '../terminal/cli-error.ts';
import { formatTable } from '../terminal/text-table.ts';
import { root } from '../workspace.ts';

export interface CiOptions {
  base?: string;
  url?: string;
  list?: boolean;
  dryRun?: boolean;
}

/** Runs the steps of a pipeline, as the CI server does. */
export async function ci(name: string, { base, url, list, dryRun }: CiOptions): Promise<number> {
  if (list && dryRun) throw new UsageError('--list and --dry-run exclude each other.');
  const pipeline = parsePipeline(name);
  const { pullRequestEnvironment: environment } = await readWorkspaceConfig(root);
  const steps = listSteps(pipeline, { base: base ?? findBase(), url, environment });
  if (list) {
    console.log(formatTable(steps.map((step) => [step.name, step.title])).join('\n'));
    return 0;
  }
  if (dryRun) {
    for (const { command, undo } of steps) {
      console.log(formatCommand(command));
      if (undo) console.log(`  after a failure: ${undo.title}`);
    }
    return 0;
  }
  if (pipeline === 'pull-request') findMergeBase(base ?? findBase());
  return runSteps(steps);
}

function parsePipeline(name: string): Pipeline {
  if (isPipeline(name)) return name;
  const meant = nearestName(name, pipelines);
  throw new UsageError(`There is no pipeline called ${name}.`, {
    remedies: [meant ? `did you mean ${meant}?` : `one of ${pipelines.join(', ')}`],
  });
}

/** The branch that a change goes to: as GitHub or GitLab says, else `defaultBase` of nx.json. */
function findBase(): string {
  const { GITHUB_BASE_REF: github, CI_MERGE_REQUEST_DIFF_BASE_SHA: gitlab } = process.env;
  if (github) return `origin/${github}`;
  if (gitlab) return gitlab;
  const { defaultBase = 'main' } = JSON.parse(readFileSync(join(root, 'nx.json'), 'utf8')) as {
    defaultBase?: string;
  };
  return defaultBase;
}
