import type { Reply } from '@jogakbo/contract';
import type { ListInstances } from '@jogakbo/contracts-registry';
import { Shares, type TrafficSplit } from '@jogakbo/messaging/split';
import { UsageError } from '../terminal/cli-error.ts';
import { asOperator, type OperatorClient } from './operator-client.ts';
import { toPrintableJson } from '../terminal/printable.ts';
import { openState } from '../supervisor/state.ts';
import { formatTable } from '../terminal/text-table.ts';
import {
  getCurrentSplit,
  type Instances,
  listInstances,
  splitSetting,
  waitForEffect,
  writeSplit,
} from '../deployment/traffic-split.ts';

export interface SplitOptions {
  end?: boolean;
  reason?: string;
  json?: boolean;
}

const remedies = ['npx jogakbo split --help'];

/** Parses pairs such as `1.4.0=10%`. @throws UsageError if a pair is invalid */
export function parseShares(pairs: string[]): Shares {
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
  throw new UsageError('The split is invalid.', {
    details: error.issues.map(({ path, message }) => [...path, message].join(': ')),
    remedies,
  });
}

/** Lists each version of a split with its share and instances, and all other versions. */
export function formatSplit(split: TrafficSplit, instances: Instances): string[] {
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
  return formatTable([['service', 'version', 'share', 'instances'], ...rows]);
}

async function list(client: OperatorClient, service: string | undefined, json?: boolean): Promise<number> {
  const [{ split }, { items }] = await Promise.all([
    getCurrentSplit(client),
    client.get<Reply<typeof ListInstances>>('/v1/ops/instances'),
  ]);
  const wanted = Object.fromEntries(Object.entries(split).filter(([name]) => !service || name === service));
  if (json) console.log(toPrintableJson(wanted));
  else if (Object.keys(wanted).length === 0) console.log('No calls are split.');
  else console.log(formatSplit(wanted, items).join('\n'));
  return 0;
}

/** @throws UsageError if no instance is running */
async function getInstances(client: OperatorClient, service: string): Promise<Instances> {
  const items = await listInstances(client, service);
  if (items.length > 0) return items;
  throw new UsageError(`No instance of "${service}" runs: there is nothing to split.`, {
    remedies: ['npx jogakbo ps'],
  });
}

/** @throws UsageError if a version is not running: a mistyped version would silently get no calls */
async function assertVersionsRun(client: OperatorClient, service: string, versions: string[]): Promise<void> {
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
  if (shares) await assertVersionsRun(client, service, Object.keys(shares));
  const written = await writeSplit(client, service, shares, reason);
  if (!written) {
    console.log(shares ? 'This split is already in force.' : `The calls of ${service} are not split.`);
    return 0;
  }
  const instances = await listInstances(client, service);
  if (shares) console.log(formatSplit({ [service]: shares }, instances).join('\n'));
  const effects = await waitForEffect(client, instances, service, written);
  for (const { name, lines } of effects)
    console.log(`${name}:${lines.join('').replace(`${splitSetting}: `, '')}`);
  return effects.some(({ refused }) => refused) ? 1 : 0;
}

/** `jogakbo split`. */
export async function split(
  service: string | undefined,
  pairs: string[],
  { end = false, reason, json }: SplitOptions,
): Promise<number> {
  if (end && (!service || pairs.length > 0)) {
    throw new UsageError('Specify the service whose split to remove: split <service> --end', { remedies });
  }
  const shares = pairs.length > 0 ? parseShares(pairs) : undefined;
  const why = reason?.trim() || (end ? `split ${service} --end` : `split ${[service, ...pairs].join(' ')}`);
  return asOperator(openState(), async (client) =>
    end || shares ? change(client, service!, shares, why) : list(client, service, json),
  );
}
