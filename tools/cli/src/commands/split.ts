import { isDeepStrictEqual } from 'node:util';
import { setTimeout as pause } from 'node:timers/promises';
import type { Reply } from '@jogakbo/contract';
import type { ExplainSettings, GetSettings } from '@jogakbo/contracts-config';
import type { ListInstances } from '@jogakbo/contracts-registry';
import { Shares, TrafficSplit } from '@jogakbo/messaging/split';
import { describeEffect } from './config-screen.ts';
import { CliError, UsageError } from '../terminal/cli-error.ts';
import { asOperator, type OperatorClient } from './operator-client.ts';
import { printableJson } from '../terminal/printable.ts';
import { openState } from '../supervisor/state.ts';
import { textTable } from '../terminal/text-table.ts';

interface SplitOptions {
  end?: boolean;
  reason?: string;
  json?: boolean;
}
type Instances = Reply<typeof ListInstances>['items'];

const setting = 'trafficSplit';
const place = '/v1/ops/config/application';
const remedies = ['npx jogakbo split --help'];
/** Long enough for a change to be in force everywhere. */
const effectPatience = 3_000;

/** `1.4.0=10%` and the like. @throws UsageFault that says what is wrong */
export function sharesNamed(pairs: string[]): Shares {
  const shares: Shares = {};
  for (const pair of pairs) {
    const [, version, percent] = /^([^=]+)=(\d{1,3}(?:\.\d+)?)%?$/.exec(pair) ?? [];
    if (!version || Number(percent) > 100) {
      throw new UsageError(`"${pair}" is not version=percent, such as 1.4.0=10%.`, { remedies });
    }
    if (Object.hasOwn(shares, version)) throw new UsageError(`${version} is named twice.`, { remedies });
    shares[version] = Number(percent);
  }
  const { success, error } = Shares.safeParse(shares);
  if (success) return shares;
  throw new UsageError('This is no split.', {
    details: error.issues.map(({ path, message }) => [...path, message].join(': ')),
    remedies,
  });
}

/** Each version that a split names with its share and its instances, and all others. */
export function splitTable(split: TrafficSplit, instances: Instances): string[] {
  const rows = Object.entries(split).flatMap(([service, shares]) => {
    const alive = instances.filter((one) => one.service === service && one.state === 'up');
    const rest = 100 - Object.values(shares).reduce((sum, share) => sum + share, 0);
    const others = alive.filter(({ version }) => !Object.hasOwn(shares, version));
    return [
      ...Object.entries(shares).map(([version, share]) => {
        const count = alive.filter((one) => one.version === version).length;
        return [service, version, `${share}%`, count > 0 ? String(count) : '0: its calls go to the others'];
      }),
      [
        service,
        'others',
        `${Math.round(rest * 1e6) / 1e6}%`,
        others.length > 0 ? String(others.length) : '0',
      ],
    ];
  });
  return textTable([['service', 'version', 'share', 'instances'], ...rows]);
}

async function inForce(client: OperatorClient): Promise<{ split: TrafficSplit; version: number }> {
  const { items, version } = await client.get<Reply<typeof GetSettings>>(place);
  const text = items.find(({ key }) => key === setting)?.value;
  if (text === undefined) return { split: {}, version };
  try {
    return { split: TrafficSplit.parse(JSON.parse(text)), version };
  } catch {
    throw new CliError(`The config server holds a ${setting} that is no split.`, {
      remedies: [`npx jogakbo config set application --unset ${setting} --reason "no split"`],
    });
  }
}

async function list(client: OperatorClient, service: string | undefined, json?: boolean): Promise<number> {
  const [{ split }, { items }] = await Promise.all([
    inForce(client),
    client.get<Reply<typeof ListInstances>>('/v1/ops/instances'),
  ]);
  const wanted = Object.fromEntries(Object.entries(split).filter(([name]) => !service || name === service));
  if (json) console.log(printableJson(wanted));
  else if (Object.keys(wanted).length === 0) console.log('No calls are split.');
  else console.log(splitTable(wanted, items).join('\n'));
  return 0;
}

/** @throws UsageFault where none runs */
async function getInstances(client: OperatorClient, service: string): Promise<Instances> {
  const { items } = await client.get<Reply<typeof ListInstances>>('/v1/ops/instances', { service });
  if (items.length > 0) return items;
  throw new UsageError(`No instance of "${service}" runs: there is nothing to split.`, {
    remedies: ['npx jogakbo ps'],
  });
}

/** @throws UsageFault where a version does not run: a mistyped one would take nothing, and say nothing */
async function mustRun(client: OperatorClient, service: string, versions: string[]): Promise<void> {
  const instances = await getInstances(client, service);
  const running = [...new Set(instances.filter(({ state }) => state === 'up').map(({ version }) => version))];
  for (const version of versions.filter((one) => !running.includes(one))) {
    throw new UsageError(`${service} ${version} does not run, so nothing was split.`, {
      details: [`running: ${running.sort().join(', ') || 'none'}`],
      remedies: [`start it first:  npx jogakbo serve ${service} --version ${version}`],
    });
  }
}

async function change(
  client: OperatorClient,
  service: string,
  shares: Shares | undefined,
  reason: string,
): Promise<number> {
  if (shares) await mustRun(client, service, Object.keys(shares));
  const { split, version } = await inForce(client);
  if (isDeepStrictEqual(split[service], shares)) {
    console.log(shares ? 'It is so already.' : `The calls of ${service} are not split.`);
    return 0;
  }
  const instances = shares ? await getInstances(client, service) : [];
  const { [service]: _, ...others } = split;
  const next = shares ? { ...others, [service]: shares } : others;
  const value = Object.keys(next).length > 0 ? JSON.stringify(next) : null;
  const written = await client.post<{ version: number }>(`${place}/versions`, {
    ...{ reason, version, settings: [{ key: setting, value }] },
  });
  if (shares) console.log(splitTable({ [service]: shares }, instances).join('\n'));
  const onBus = instances.some(({ upstream }) => upstream === 'bus');
  return tellEffect(client, ['gateway', ...(onBus ? [service] : [])], written.version, value);
}

/** Waits until the change is in force at the gateway and at the service. */
async function tellEffect(
  client: OperatorClient,
  who: string[],
  version: number,
  after: string | null,
): Promise<number> {
  const until = Date.now() + effectPatience;
  let wait = 100;
  for (;;) {
    const effects = await Promise.all(
      [...new Set(who)].map(async (name) => {
        const { instances } = await client.get<Reply<typeof ExplainSettings>>(
          `/v1/ops/config/${name}/in-force`,
        );
        const from = `version ${version} of application/default `;
        const effect = describeEffect(instances, [{ key: setting, after }], from);
        return { name, ...effect, complete: effect.complete && instances.length > 0 };
      }),
    );
    if (effects.every(({ complete }) => complete) || Date.now() > until) {
      for (const { name, lines } of effects)
        console.log(`${name}:${lines.join('').replace(`${setting}: `, '')}`);
      return effects.some(({ refused }) => refused) ? 1 : 0;
    }
    // Each question is a request to the gateway, and a line in its log.
    await pause(wait);
    wait *= 2;
  }
}

/** `jogakbo split`. */
export async function split(
  { end = false, reason, json }: SplitOptions,
  [service, ...pairs]: string[],
): Promise<number> {
  if (end && (!service || pairs.length > 0)) {
    throw new UsageError('Say whose split is over: split <service> --end', { remedies });
  }
  const shares = pairs.length > 0 ? sharesNamed(pairs) : undefined;
  const why = reason?.trim() || (end ? `split ${service} --end` : `split ${[service, ...pairs].join(' ')}`);
  return asOperator(openState(), async (client) =>
    end || shares ? change(client, service!, shares, why) : list(client, service, json),
  );
}
