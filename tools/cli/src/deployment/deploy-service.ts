import type { ContentPart } from '@jogakbo/delivery/src/content.ts';
import type { Engine } from '@jogakbo/delivery/src/engine.ts';
import { rollOut, type RolloutResult } from '@jogakbo/delivery/src/rollout.ts';
import { toMessage } from '../terminal/cli-error.ts';
import { toPrintable } from '../terminal/printable.ts';
import type { Environment } from './environment.ts';

/** A process may exceed its budget for a short time, such as during its start. */
const memoryTolerance = 1.5;
const defaultMemory = 110;

export const format = (text: string): string => text.split('\n').map(toPrintable).join('\n');
export const print = (text: string): void => console.log(format(text));

export interface ServiceDeployment {
  service: string;
  /** Undefined for a service that does not run. */
  from?: string | undefined;
  to: string;
  /** What the version is built of; undefined if that is not known. */
  parts?: readonly ContentPart[] | undefined;
}

export interface RolloutSettings {
  steps: number[];
  watchMs: number;
  reason: string;
  signal?: AbortSignal;
}

/** Deploys one service, and records it. @returns whether the new version is the current one */
export async function deployService(
  environment: Environment,
  engine: Engine,
  deployment: ServiceDeployment,
  { reason, ...options }: RolloutSettings,
): Promise<boolean> {
  const { service, from, to } = deployment;
  const began = performance.now();
  const getSeconds = () => ((performance.now() - began) / 1_000).toFixed(1);
  const id = await environment.history.begin({ ...deployment, reason });
  const end = (outcome: 'promoted' | 'rolled back' | 'failed' | 'interrupted', detail?: string) =>
    environment.history.end({ id, service, outcome, detail });
  const release = { service, version: to };
  const memoryLimit = (environment.getMemory(release) ?? defaultMemory) * memoryTolerance * 2 ** 20;
  let result: RolloutResult;
  try {
    result = await rollOut(engine, release, { ...options, memoryLimit }, (text) =>
      print(`${getSeconds().padStart(5)} s  ${text}`),
    );
  } catch (error) {
    // If this fails, too, the next command records the end. This error is the one to report.
    await end('failed', toMessage(error)).catch(() => undefined);
    throw error;
  }
  if (result.outcome === 'promoted') {
    await end('promoted');
    print(`${service} ${to} is deployed, after ${getSeconds()} s.`);
    return true;
  }
  await end(result.reason === 'interrupted' ? 'interrupted' : 'rolled back', result.reason);
  const running = from ? `${service} ${from} keeps running` : `${service} does not run`;
  console.error(
    format(`\n${service} ${to} was rolled back after ${getSeconds()} s: ${result.reason}.\n${running}.`),
  );
  if (result.lines.length > 0)
    console.error(
      format(
        ['The last lines of its log:', ...result.lines.slice(-10).map((line) => `  ${line}`)].join('\n'),
      ),
    );
  return false;
}

/** Finishes what a killed command has left: its version is withdrawn, or promoted if it is the current one already. */
export async function undoUnfinished(environment: Environment): Promise<void> {
  const { history } = environment;
  const unfinished = (await history.read()).filter(({ outcome }) => outcome === 'running');
  if (unfinished.length === 0) return;
  const running = await environment.readRunning();
  await environment.open(async (engine) => {
    for (const { id, service, to } of unfinished) {
      const release = { service, version: to };
      const isCurrent = running.get(service)?.version === to;
      await engine.shift(release, 0);
      if (!environment.undoesItself) await (isCurrent ? engine.promote(release) : engine.withdraw(release));
      const outcome = isCurrent ? 'promoted' : 'interrupted';
      await history.end({ id, service, outcome, detail: 'its command was killed' });
      print(
        isCurrent
          ? `${service} ${to}: its deployment was interrupted after the version had become the current one`
          : `${service} ${to}: its deployment was interrupted, and is undone`,
      );
    }
  });
}
