import type { ContentPart, ServiceContent } from './content.ts';

/** A version of a service that runs in an environment. While a deployment is under way there are two of one service. */
export interface RunningVersion {
  service: string;
  version: string;
  /** From the artefact.json of that version or from the record of its deployment; undefined if there is neither. */
  parts?: readonly ContentPart[];
}

export interface PlanStep {
  service: string;
  /** `remove`: it was deployed from this workspace, which no longer contains it. */
  action: 'deploy' | 'keep' | 'remove';
  /** The versions that run now. */
  from: readonly string[];
  /** The version of the workspace; undefined if it does not contain the service. */
  to?: string;
  /** One line for each part that differs, or why the action is what it is. */
  reasons: readonly string[];
}

/** In a text, more lines say only how many there are. */
const shownReasons = 6;

/**
 * Decides what has to be deployed: every service whose content differs from what runs, whatever happened before. So a
 * deployment that failed or was left out is part of the next plan.
 */
export function planDeployment(
  contents: ReadonlyMap<string, ServiceContent>,
  running: readonly RunningVersion[],
): PlanStep[] {
  const names = new Set([...contents.keys(), ...running.map(({ service }) => service)]);
  return [...names].sort().map((service) =>
    planService(
      service,
      contents.get(service),
      running.filter((one) => one.service === service),
    ),
  );
}

function planService(
  service: string,
  content: ServiceContent | undefined,
  running: readonly RunningVersion[],
): PlanStep {
  const from = [...new Set(running.map(({ version }) => version))].sort();
  if (!content) {
    const isOurs = running.some(({ parts }) => parts);
    return isOurs
      ? { service, action: 'remove', from, reasons: [`apps/${service} is no longer in the workspace`] }
      : { service, action: 'keep', from, reasons: ['is not part of this workspace'] };
  }
  const to = content.version;
  if (from.length === 0) return { service, action: 'deploy', from, to, reasons: ['does not run yet'] };
  const others = running.filter(({ version }) => version !== to);
  if (others.length === 0)
    return { service, action: 'keep', from, to, reasons: ['the same content is running'] };
  return {
    ...{ service, action: 'deploy', from, to },
    reasons: [...new Set(others.flatMap((one) => explainDifference(one, content)))],
  };
}

function explainDifference({ version, parts }: RunningVersion, content: ServiceContent): string[] {
  if (!parts) return [`what ${version} was built of is unknown: there is no record of its deployment`];
  const differences = compareParts(parts, content.parts);
  return differences.length > 0 ? differences : [`${version} has another hash, but the same parts`];
}

/** One line for each part that differs, first those of the workspace, then the packages. */
export function compareParts(before: readonly ContentPart[], after: readonly ContentPart[]): string[] {
  const [old, current] = [before, after].map((parts) => new Map(parts.map(({ name, hash }) => [name, hash])));
  const changed = [...current!].filter(([name, hash]) => old!.has(name) && old!.get(name) !== hash);
  const added = [...current!.keys()].filter((name) => !old!.has(name));
  const removed = [...old!.keys()].filter((name) => !current!.has(name));
  const [packages, folders] = [true, false].map((isWanted) => ({
    changed: changed.map(([name]) => name).filter((name) => isPackage(name) === isWanted),
    added: added.filter((name) => isPackage(name) === isWanted),
    removed: removed.filter((name) => isPackage(name) === isWanted),
  }));
  return [
    ...folders!.changed.map((name) => `${partTexts[name] ?? name} changed`),
    ...folders!.added.map((name) => `${name} added`),
    ...folders!.removed.map((name) => `${name} removed`),
    ...comparePackages(packages!.added, packages!.removed),
    ...packages!.changed.map(
      (name) => `${name.replace(/@(?=[^@]*$)/, ' ')}: another archive, or another place`,
    ),
  ];
}

const partTexts: Record<string, string> = { build: 'the build', image: 'the image' };

const isPackage = (name: string): boolean => name.includes('@');

/** `a 1.0.0 → 1.0.1` where one version replaces another. */
function comparePackages(added: readonly string[], removed: readonly string[]): string[] {
  const group = (parts: readonly string[]) => Map.groupBy(parts.map(splitName), ([name]) => name);
  const [now, then] = [group(added), group(removed)];
  return [...new Set([...now.keys(), ...then.keys()])].sort().map((name) => {
    const [newer, older] = [now, then].map((all) =>
      all
        .get(name)
        ?.map(([, version]) => version)
        .join(', '),
    );
    if (newer && older) return `${name} ${older} → ${newer}`;
    return newer ? `${name} ${newer} added` : `${name} ${older} removed`;
  });
}

function splitName(part: string): readonly [name: string, version: string] {
  const at = part.lastIndexOf('@');
  return [part.slice(0, at), part.slice(at + 1)];
}

/**
 * The plan for people: one block per service, those with an action first.
 * @param compared what the workspace is compared with
 */
export function renderPlan(steps: readonly PlanStep[], compared = 'what is running'): string {
  const order = [
    ...steps.filter(({ action }) => action !== 'keep'),
    ...steps.filter(({ action }) => action === 'keep'),
  ];
  const width = Math.max(0, ...steps.map(({ service }) => service.length));
  const indent = ' '.repeat(8 + width + 2);
  const lines = order.flatMap(({ service, action, from, to, reasons }) => {
    const old = from.join(', ');
    const versions = action === 'deploy' && old ? `${old} → ${to}` : (to ?? old);
    const shown = action === 'keep' && to ? [] : limit(reasons);
    return [
      `${action.padEnd(8)}${service.padEnd(width)}  ${versions}`,
      ...shown.map((reason) => indent + reason),
    ];
  });
  const count = steps.filter(({ action }) => action === 'deploy').length;
  return [...lines, '', `${count} of ${steps.length} services differ from ${compared}`].join('\n');
}

const limit = (reasons: readonly string[]): string[] =>
  reasons.length <= shownReasons
    ? [...reasons]
    : [...reasons.slice(0, shownReasons), `and ${reasons.length - shownReasons} more`];
