import { localEnvironment } from '@jogakbo/contract/workspace';
import { readContents, WorkspaceContents } from '@jogakbo/delivery/src/content.ts';
import { planDeployment, type PlanStep, renderPlan } from '@jogakbo/delivery/src/plan.ts';
import { readBuiltContracts, selectApps } from '../built-contracts.ts';
import {
  deployService,
  format,
  print,
  type RolloutSettings,
  undoUnfinished,
} from '../deployment/deploy-service.ts';
import { type Environment, openEnvironment } from '../deployment/environment.ts';
import { build } from '../supervisor/build.ts';
import { checkPackages, refuseIfFailed } from '../supervisor/checks.ts';
import { CliError, UsageError } from '../terminal/cli-error.ts';
import { toPrintableJson } from '../terminal/printable.ts';
import { createStopHandler, onSignals } from '../terminal/signals.ts';
import { root } from '../workspace.ts';
import { checkDeployment, formatRefusal, isRefused } from './contracts.ts';

export interface DeployOptions {
  environment?: string;
  plan?: boolean;
  json?: boolean;
  wait?: boolean;
  steps?: string;
  watch?: string;
  reason?: string;
}

/** How long `--wait` waits for another deployment. */
const maxWaitMs = 15 * 60_000;
const defaultSteps = '10,50,100';

/**
 * @param watchSeconds per step, if the options do not say so
 * @throws UsageError if the options are invalid
 */
export function parseRolloutOptions(
  { steps = defaultSteps, watch }: DeployOptions,
  watchSeconds: number,
): { steps: number[]; watchMs: number } {
  const shares = steps.split(',').map(Number);
  const isRising = shares.every((share, index) => share > (shares[index - 1] ?? 0) && share <= 100);
  if (!isRising || shares.at(-1) !== 100)
    throw new UsageError(`--steps is "${steps}": it must be rising percentages that end with 100.`, {
      remedies: ['such as --steps 10,50,100'],
    });
  const seconds = Number(watch ?? watchSeconds);
  if (!(seconds >= 0 && seconds <= 3_600))
    throw new UsageError(`--watch is "${watch}": it must be seconds between 0 and 3600.`);
  return { steps: shares, watchMs: 1_000 * seconds };
}

/** `jogakbo deploy`. */
export async function deploy(services: readonly string[], options: DeployOptions): Promise<number> {
  const environment = await openEnvironment(options.environment);
  const rollout = parseRolloutOptions(options, environment.watchSeconds);
  await environment.assertReady();
  if (options.plan) return showPlan(await plan(environment, services), environment, options);
  refuseIfFailed([checkPackages('needed')]);
  const release = await environment.lock(options.wait ? maxWaitMs : 0);
  try {
    await undoUnfinished(environment);
    const steps = await plan(environment, services);
    const wanted = steps.filter(({ action }) => action === 'deploy');
    print(renderPlan(steps));
    if (wanted.length === 0) return 0;
    return await deployAll(environment, wanted, { ...rollout, reason: options.reason ?? 'deploy' });
  } finally {
    await release();
  }
}

async function plan(environment: Environment, services: readonly string[]): Promise<PlanStep[]> {
  const contents = await readContents(root);
  const unknown = services.filter((name) => !contents.has(name));
  if (unknown.length > 0)
    throw new UsageError(`There is no service called ${unknown.join(', ')}.`, {
      remedies: [`the services are: ${[...contents.keys()].join(', ')}`],
    });
  const steps = planDeployment(contents, [...(await environment.readRunning()).values()]);
  return steps.filter(({ service }) => services.length === 0 || services.includes(service));
}

function showPlan(steps: PlanStep[], { name }: Environment, { json }: DeployOptions): number {
  const compared = name === localEnvironment ? undefined : `what is running in ${name}`;
  console.log(json ? toPrintableJson(steps) : format(renderPlan(steps, compared)));
  return 0;
}

/** Builds all, then deploys one after the other until one fails. */
async function deployAll(
  environment: Environment,
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
    const contents = names.map((name) => workspace.readService(name));
    for (const { service, version } of contents) {
      if (wanted.find((one) => one.service === service)!.to !== version)
        throw new CliError(`The sources of ${service} changed during the build; nothing was deployed.`, {
          remedies: ['run the command again'],
        });
    }
    const versions = Object.fromEntries(contents.map(({ service, version }) => [service, version]));
    const order = await orderChecked(environment, versions);
    await environment.prepare(contents);
    return await environment.open(async (engine) => {
      for (const name of order) {
        const { version, parts } = contents.find(({ service }) => service === name)!;
        const [from] = wanted.find(({ service }) => service === name)!.from;
        const deployment = { service: name, from, to: version, parts };
        const done = await deployService(environment, engine, deployment, {
          ...settings,
          signal: abort.signal,
        });
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
 * @param versions by service
 * @returns the services in the order in which they can be deployed @throws CliError with what would break
 */
async function orderChecked(
  { gateway }: Environment,
  versions: Readonly<Record<string, string>>,
): Promise<readonly string[]> {
  const names = Object.keys(versions);
  if (!gateway) {
    print('Contracts are not compared: there is no gateway for a session of an operator, or no registry.');
    return names;
  }
  const check = await checkDeployment(readBuiltContracts(selectApps(names), versions), gateway.url);
  for (const note of check.notes) print(`note: ${note}`);
  if (!isRefused(check)) return check.order;
  throw new CliError('This deployment would break what is running; nothing was deployed.', {
    details: formatRefusal(check),
  });
}
