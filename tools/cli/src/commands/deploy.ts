import { readContents, WorkspaceContents } from '@jogakbo/delivery/src/content.ts';
import { planDeployment, type PlanStep, renderPlan } from '@jogakbo/delivery/src/plan.ts';
import { rollOut, type RolloutResult } from '@jogakbo/delivery/src/rollout.ts';
import { readBuiltContracts, selectApps } from '../built-contracts.ts';
import { build } from '../supervisor/build.ts';
import { checkPackages, refuseIfFailed } from '../supervisor/checks.ts';
import {
  beginDeployment,
  type Deployment,
  endDeployment,
  lockDeployments,
  readDeployments,
} from '../deployment/deployments.ts';
import { hasPlatform, openEngine, type OpenEngine } from '../deployment/open-engine.ts';
import { getReleaseFolder, keepReleases, readRunningReleases } from '../deployment/releases.ts';
import { openState, type StateFolder } from '../supervisor/state.ts';
import { CliError, toMessage, UsageError } from '../terminal/cli-error.ts';
import { toPrintable, toPrintableJson } from '../terminal/printable.ts';
import { createStopHandler, onSignals } from '../terminal/signals.ts';
import { listApps, root } from '../workspace.ts';
import { checkDeployment, formatRefusal, isRefused } from './contracts.ts';
import { findReadyStore } from './operator-client.ts';

export interface DeployOptions {
  plan?: boolean;
  json?: boolean;
  wait?: boolean;
  steps?: string;
  watch?: string;
  reason?: string;
}

const format = (text: string) => text.split('\n').map(toPrintable).join('\n');
const print = (text: string) => console.log(format(text));
/** How long `--wait` waits for another deployment. */
const maxWaitMs = 15 * 60_000;
const defaultSteps = '10,50,100';
/** Seconds per step. */
const defaultWatch = '1.5';
/** A process may exceed its budget for a short time, such as during its start. */
const memoryTolerance = 1.5;
const defaultMemory = 110;

/** @throws UsageError if the options are invalid */
export function parseRolloutOptions({ steps = defaultSteps, watch = defaultWatch }: DeployOptions): {
  steps: number[];
  watchMs: number;
} {
  const shares = steps.split(',').map(Number);
  const isRising = shares.every((share, index) => share > (shares[index - 1] ?? 0) && share <= 100);
  if (!isRising || shares.at(-1) !== 100)
    throw new UsageError(`--steps is "${steps}": it must be rising percentages that end with 100.`, {
      remedies: ['such as --steps 10,50,100'],
    });
  const seconds = Number(watch);
  if (!(seconds >= 0 && seconds <= 3_600))
    throw new UsageError(`--watch is "${watch}": it must be seconds between 0 and 3600.`);
  return { steps: shares, watchMs: 1_000 * seconds };
}

/** `jogakbo deploy`. */
export async function deploy(services: string[], options: DeployOptions): Promise<number> {
  const state = openState();
  const rollout = parseRolloutOptions(options);
  refuseIfFailed([checkPackages('needed')]);
  const run = findReadyStore(state);
  if (run.dense)
    throw new CliError('In dense mode all services share one process, so none can be deployed alone.', {
      remedies: ['start the store without --dense'],
    });
  if (options.plan) return showPlan(await plan(state, services), options);
  const release = await lockDeployments(state, options.wait ? maxWaitMs : 0);
  try {
    await undoUnfinished(state);
    const steps = await plan(state, services);
    const wanted = steps.filter(({ action }) => action === 'deploy');
    print(renderPlan(steps));
    if (wanted.length === 0) return 0;
    return await deployAll(state, wanted, { ...rollout, reason: options.reason ?? 'deploy' });
  } finally {
    release();
  }
}

/** Compares the workspace with what runs. @throws UsageError if it has no such service */
async function plan(state: StateFolder, services: readonly string[]): Promise<PlanStep[]> {
  const contents = await readContents(root);
  const unknown = services.filter((name) => !contents.has(name));
  if (unknown.length > 0)
    throw new UsageError(`There is no service called ${unknown.join(', ')}.`, {
      remedies: [`the services are: ${[...contents.keys()].join(', ')}`],
    });
  const steps = planDeployment(contents, [...readRunningReleases(state).values()]);
  return steps.filter(({ service }) => services.length === 0 || services.includes(service));
}

function showPlan(steps: PlanStep[], { json }: DeployOptions): number {
  console.log(json ? toPrintableJson(steps) : format(renderPlan(steps)));
  return 0;
}

/** Finishes what a killed command has left: the store itself has withdrawn the version, and its calls must not be split. */
async function undoUnfinished(state: StateFolder): Promise<void> {
  const unfinished = readDeployments(state).filter(({ outcome }) => outcome === 'running');
  if (unfinished.length === 0) return;
  await openEngine(state, async (engine) => {
    for (const { id, service, to } of unfinished) {
      const versions = readRunningReleases(state).get(service);
      const isCurrent = versions?.version === to;
      await engine.shift({ service, version: to }, 0);
      endDeployment(state, id, isCurrent ? 'promoted' : 'interrupted', 'its command was killed');
      print(
        isCurrent
          ? `${service} ${to}: its deployment was interrupted after the version had become the current one`
          : `${service} ${to}: its deployment was interrupted, and is undone`,
      );
    }
  });
}

interface RolloutSettings {
  steps: number[];
  watchMs: number;
  reason: string;
}

/** Builds all, then deploys one after the other until one fails. */
async function deployAll(
  state: StateFolder,
  wanted: readonly PlanStep[],
  settings: RolloutSettings,
): Promise<number> {
  const abort = new AbortController();
  const release = onSignals(
    createStopHandler(
      () => abort.abort(),
      () => process.exit(130),
    ),
  );
  try {
    const names = wanted.map(({ service }) => service);
    print(await build(names, print, abort.signal));
    // What was built is what was planned, unless a file has changed in the meantime.
    const workspace = new WorkspaceContents(root);
    for (const { service, to } of wanted) {
      if (workspace.readService(service).version !== to)
        throw new CliError(`The sources of ${service} changed during the build; nothing was deployed.`, {
          remedies: ['run the command again'],
        });
    }
    const order = await orderChecked(state, names, workspace);
    keepReleases(state, names);
    return await openEngine(state, async (engine) => {
      for (const { service, from, to } of order.map((name) => wanted.find((one) => one.service === name)!)) {
        const deployment = { service, from: from[0], to: to! };
        const done = await deployOne(state, engine, deployment, { ...settings, signal: abort.signal });
        if (!done) return abort.signal.aborted ? 130 : 1;
      }
      return 0;
    });
  } finally {
    release();
  }
}

/**
 * Checks that the services break nothing that is running.
 * @returns them in the order in which they can be deployed @throws CliError with what would break
 */
async function orderChecked(
  state: StateFolder,
  names: string[],
  workspace: WorkspaceContents,
): Promise<readonly string[]> {
  if (!hasPlatform(findReadyStore(state))) {
    print('Contracts are not compared: this store runs without gateway, identity, registry or config.');
    return names;
  }
  const versions = Object.fromEntries(names.map((name) => [name, workspace.readService(name).version]));
  const check = await checkDeployment(readBuiltContracts(selectApps(names), versions));
  for (const note of check.notes) print(`note: ${note}`);
  if (!isRefused(check)) return check.order;
  throw new CliError('This deployment would break what is running; nothing was deployed.', {
    details: formatRefusal(check),
  });
}

/** Deploys one service, and records it. @returns whether the new version is the current one */
export async function deployOne(
  state: StateFolder,
  engine: OpenEngine,
  { service, from, to }: Pick<Deployment, 'service' | 'from' | 'to'>,
  { reason, ...options }: RolloutSettings & { signal?: AbortSignal },
): Promise<boolean> {
  const began = performance.now();
  const id = beginDeployment(state, { service, from, to, reason });
  const manifest = listApps(getReleaseFolder(state, { service, version: to }))[0]?.manifest;
  const memoryLimit = (manifest?.memory ?? defaultMemory) * memoryTolerance * 2 ** 20;
  let result: RolloutResult;
  try {
    const seconds = () => ((performance.now() - began) / 1_000).toFixed(1).padStart(5);
    result = await rollOut(engine, { service, version: to }, { ...options, memoryLimit }, (text) =>
      print(`${seconds()} s  ${text}`),
    );
  } catch (error) {
    endDeployment(state, id, 'failed', toMessage(error));
    throw error;
  }
  const seconds = ((performance.now() - began) / 1_000).toFixed(1);
  if (result.outcome === 'promoted') {
    endDeployment(state, id, 'promoted');
    print(`${service} ${to} is deployed, after ${seconds} s.`);
    return true;
  }
  endDeployment(state, id, result.reason === 'interrupted' ? 'interrupted' : 'rolled back', result.reason);
  const running = from ? `${service} ${from} keeps running` : `${service} does not run`;
  console.error(
    format(`\n${service} ${to} was rolled back after ${seconds} s: ${result.reason}.\n${running}.`),
  );
  if (result.lines.length > 0)
    console.error(
      format(
        ['The last lines of its log:', ...result.lines.slice(-10).map((line) => `  ${line}`)].join('\n'),
      ),
    );
  return false;
}
