import type { Breakage, ContractCheck } from './contract-check.ts';

/** More consumers of one change are counted only. */
const maxConsumers = 6;

/**
 * Describes what a deployment would break: for each version that cannot be deployed the request or event, the field, what
 * changed, who breaks, and the way out. Texts of contracts are untrusted: escape control characters before printing.
 * @returns lines; empty if nothing breaks
 */
export function formatBreakages({
  breakages,
  cycles,
}: Pick<ContractCheck, 'breakages' | 'cycles'>): string[] {
  const candidates = [...new Set(breakages.map(({ candidate }) => candidate))].sort();
  return [
    ...candidates.flatMap((candidate) => [
      `${candidate} cannot be deployed:`,
      ...formatCandidate(breakages.filter((one) => one.candidate === candidate)),
    ]),
    ...cycles.map(
      (cycle) =>
        `${cycle.join(', ')} would each have to be deployed before another one of them: change them in two steps`,
    ),
  ];
}

function formatCandidate(breakages: readonly Breakage[]): string[] {
  const changes = group(breakages, (one) => `${one.name} ${describeChange(one)} ${isMissing(one)}`);
  const byName = group([...changes.values()], ([one]) => `${one!.name} ${isMissing(one!)}`);
  return [...byName.values()].flatMap((some) => [
    ...some.flatMap((same) => formatChange(same)),
    `    ${describeWayOut(some[0]![0]!)}`,
  ]);
}

function group<T>(all: readonly T[], getKey: (one: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const one of all) groups.set(getKey(one), [...(groups.get(getKey(one)) ?? []), one]);
  return groups;
}

/** Whether the candidate is the consumer, which needs what no running version offers. */
const isMissing = ({ candidate, consumer }: Breakage): boolean => consumer?.service === candidate;

/** `input lines.*.quantity: can be missing, but is required` */
const describeChange = ({ part, kind, path, problem }: Breakage): string =>
  `${part === kind ? '' : `${[part, path].filter(Boolean).join(' ')}: `}${problem}`;

function formatChange(same: readonly Breakage[]): string[] {
  const [first] = same as [Breakage];
  const others = [
    ...new Set(same.map((one) => (isMissing(one) ? formatVersion(one.provider) : formatConsumer(one)))),
  ];
  const shown = others.slice(0, maxConsumers).join(', ');
  const more = others.length > maxConsumers ? ` and ${others.length - maxConsumers} more` : '';
  return [
    `  ${first.name}  ${describeChange(first)}`,
    `    ${isMissing(first) ? 'needed, but not offered by' : 'breaks'} ${shown}${more}`,
  ];
}

const formatVersion = ({ service, version }: Breakage['provider']): string => `${service} ${version}`;

function formatConsumer({ consumer, isAssumed }: Breakage): string {
  if (!consumer) return 'clients of the public API';
  return `${formatVersion(consumer)}${isAssumed ? ' (it does not list what it uses)' : ''}`;
}

function describeWayOut(breakage: Breakage): string {
  const { name, kind, provider, consumer } = breakage;
  if (isMissing(breakage)) return `way out: deploy a version of ${provider.service} first that offers this`;
  const users = consumer ? 'no running version uses it' : 'no client uses it';
  const beside = kind === 'event' ? 'publish' : 'offer';
  return `way out: keep ${name}, ${beside} ${toNextName(name)} beside it, and remove ${name} when ${users}`;
}

/** The name of a breaking version of a request or event: `library.lend-book.v2`. */
export function toNextName(name: string): string {
  const version = /\.v(\d+)$/.exec(name);
  return version ? `${name.slice(0, version.index)}.v${Number(version[1]) + 1}` : `${name}.v2`;
}
