import type { Reply } from '@jogakbo/contract';
import type { ExplainSettings } from '@jogakbo/contracts-config';
import { toPrintable } from '../terminal/printable.ts';
import { formatTable } from '../terminal/text-table.ts';

type Instances = Reply<typeof ExplainSettings>['instances'];
type InForce = Instances[number]['settings'][number];

/** Settings belong to an application (a service, or "application" for all) in a profile and a label. */
export interface SettingsScope {
  application: string;
  profile: string;
  label: string;
}

export const formatScope = ({ application, profile, label }: SettingsScope): string =>
  `${application}/${profile}${label === 'main' ? '' : `@${label}`}`;

function formatOrigin({ origin, from }: InForce): string {
  return from ? `${origin}, ${from}` : origin;
}

function describeNote({ afterRestart, refused }: InForce): string {
  if (refused) return `refused: ${refused}`;
  return afterRestart ? `after a restart: ${afterRestart}` : '';
}

/** Lists each setting with its value and origin, once for all instances with equal settings. */
export function formatExplanation(instances: Instances, key?: string): string[] {
  const groups = Map.groupBy(instances, ({ settings, unknown }) => JSON.stringify([settings, unknown]));
  return [...groups.values()].flatMap((alike) => {
    const { settings, unknown } = alike[0]!;
    const rows = settings
      .filter((one) => key === undefined || one.key === key)
      .map((one) => [
        one.key,
        one.value ?? '(not set)',
        one.live ? 'live' : '',
        formatOrigin(one),
        describeNote(one),
      ]);
    const wrong = unknown.filter((one) => key === undefined || one === key);
    return [
      toPrintable(alike.map(({ instance }) => instance).join(', ')),
      ...formatTable([['setting', 'value', '', 'from', ''], ...rows], '  '),
      ...wrong.map((one) =>
        toPrintable(`  ${one} is set at the config server, but the service has no such setting`),
      ),
    ];
  });
}

/**
 * Describes the effect of a configuration version on the running instances. `complete`: all instances have applied it.
 * @param changes of the version; `after` is null for a removed setting
 * @param name of the version, as reported by instances
 */
export function describeEffect(
  instances: Instances,
  changes: readonly { key: string; after: string | null }[],
  name: string,
): { lines: string[]; complete: boolean; refused: boolean } {
  if (instances.length === 0)
    return { lines: ['  No instance is running.'], complete: false, refused: false };
  let complete = true;
  let refused = false;
  const lines = changes.map(({ key, after }) => {
    const outcomes = instances.map(({ instance, settings, unknown }) => {
      const setting = settings.find((one) => one.key === key);
      if (!setting && (unknown.includes(key) || after === null)) return 'the service has no such setting';
      if (setting?.refused) {
        refused = true;
        return `refused by ${instance}: ${setting.refused}`;
      }
      if (setting?.origin === 'environment' || setting?.origin === 'file')
        return `overridden by the ${setting.origin}`;
      if (setting?.afterRestart) return 'takes effect after a restart';
      if (setting?.from?.startsWith(name)) return 'in force';
      if (setting?.origin === 'default' && after === null) return 'in force: the default';
      complete = false;
      return setting?.from ? `${setting.from} is in force` : 'not in force';
    });
    const counted = [...Map.groupBy(outcomes, (one) => one)].map(([one, { length }]) =>
      length === instances.length ? one : `${one} (${length} of ${instances.length} instances)`,
    );
    return toPrintable(`  ${key}: ${counted.join('; ')}`);
  });
  return { lines, complete, refused };
}
