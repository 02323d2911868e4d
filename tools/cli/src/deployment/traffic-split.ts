import { setTimeout as pause } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import type { Reply } from '@jogakbo/contract';
import type { ExplainSettings, GetSettings } from '@jogakbo/contracts-config';
import type { ListInstances } from '@jogakbo/contracts-registry';
import type { Release } from '@jogakbo/delivery/src/engine.ts';
import { type Shares, TrafficSplit } from '@jogakbo/messaging/split';
import { CliError } from '../terminal/cli-error.ts';
import { describeEffect } from '../commands/config-screen.ts';
import { type OperatorClient } from '../commands/operator-client.ts';

export type Instances = Reply<typeof ListInstances>['items'];

/** The setting of all services that holds the split. */
export const splitSetting = 'trafficSplit';
const settingsPath = '/v1/ops/config/application';
/** Maximum wait until a change is in force in all instances. */
const effectTimeoutMs = 3_000;

/** A written change of the split. */
interface WrittenSplit {
  version: number;
  value: string | null;
}

/** The effect of a change in the instances of one service. */
interface SplitEffect {
  name: string;
  lines: string[];
  refused: boolean;
  complete: boolean;
}

export async function getCurrentSplit(
  client: OperatorClient,
): Promise<{ split: TrafficSplit; version: number }> {
  const { items, version } = await client.get<Reply<typeof GetSettings>>(settingsPath);
  const text = items.find(({ key }) => key === splitSetting)?.value;
  if (text === undefined) return { split: {}, version };
  try {
    return { split: TrafficSplit.parse(JSON.parse(text)), version };
  } catch {
    throw new CliError(`The ${splitSetting} of the config server is invalid.`, {
      remedies: [`npx jogakbo config set application --unset ${splitSetting} --reason "invalid split"`],
    });
  }
}

export async function listInstances(client: OperatorClient, service: string): Promise<Instances> {
  const { items } = await client.get<Reply<typeof ListInstances>>('/v1/ops/instances', { service });
  return items;
}

/** Writes the shares of one service. @param shares undefined ends the split @returns undefined if nothing changes */
export async function writeSplit(
  client: OperatorClient,
  service: string,
  shares: Shares | undefined,
  reason: string,
): Promise<WrittenSplit | undefined> {
  const { split, version } = await getCurrentSplit(client);
  if (isDeepStrictEqual(split[service], shares)) return undefined;
  const { [service]: _, ...others } = split;
  const next = shares ? { ...others, [service]: shares } : others;
  const value = Object.keys(next).length > 0 ? JSON.stringify(next) : null;
  const written = await client.post<{ version: number }>(`${settingsPath}/versions`, {
    reason,
    version,
    settings: [{ key: splitSetting, value }],
  });
  return { version: written.version, value };
}

/**
 * Routes a share of the calls of a service to a version, and waits until that is in force.
 * @param percent 0 ends the split @throws CliError if another version has a share
 */
export async function shiftCalls(
  client: OperatorClient,
  { service, version }: Release,
  percent: number,
): Promise<void> {
  const { split } = await getCurrentSplit(client);
  const other = Object.keys(split[service] ?? {}).find((one) => one !== version);
  if (other && percent > 0)
    throw new CliError(`The calls of ${service} are split already: version ${other} has a share.`, {
      remedies: [`end that split:  npx jogakbo split ${service} --end`],
    });
  if (percent === 0 && (!split[service] || other)) return;
  const shares = percent > 0 ? { [version]: percent } : undefined;
  const reason = percent > 0 ? `deploy ${service} ${version}` : `deploy ${service}: end the split`;
  const written = await writeSplit(client, service, shares, reason);
  if (!written) return;
  // Without the registry only the gateway is asked: a rollback must be possible then, too.
  const instances = await listInstances(client, service).catch(() => []);
  await waitForEffect(client, instances, service, written);
}

/** Waits until a change is in force in the gateway and in the service, for at most three seconds. */
export async function waitForEffect(
  client: OperatorClient,
  instances: Instances,
  service: string,
  { version, value }: WrittenSplit,
): Promise<SplitEffect[]> {
  const isOnBus = instances.some(({ upstream }) => upstream === 'bus');
  const services = [...new Set(['gateway', ...(isOnBus ? [service] : [])])];
  const until = Date.now() + effectTimeoutMs;
  let wait = 100;
  for (;;) {
    const effects = await Promise.all(
      services.map(async (name) => {
        const { instances: inForce } = await client.get<Reply<typeof ExplainSettings>>(
          `/v1/ops/config/${name}/in-force`,
        );
        const from = `version ${version} of application/default `;
        const effect = describeEffect(inForce, [{ key: splitSetting, after: value }], from);
        return { name, ...effect, complete: effect.complete && inForce.length > 0 };
      }),
    );
    if (effects.every(({ complete }) => complete) || Date.now() > until) return effects;
    // Each poll is a request to the gateway with a log line, so the interval doubles.
    await pause(wait);
    wait *= 2;
  }
}
