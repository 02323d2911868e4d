import type { Reply } from '@jogakbo/contract';
import type { ExplainSettings } from '@jogakbo/contracts-config';
import { printable } from '../terminal/printable.ts';
import { textTable } from '../terminal/text-table.ts';

type Instances = Reply<typeof ExplainSettings>['instances'];
type InForce = Instances[number]['settings'][number];

export interface Place {
  application: string;
  profile: string;
  label: string;
}

export const placeNamed = ({ application, profile, label }: Place): string =>
  `${application}/${profile}${label === 'main' ? '' : `@${label}`}`;

function formatOrigin({ origin, from }: InForce): string {
  return from ? `${origin}, ${from}` : origin;
}

function describeNote({ afterRestart, refused }: InForce): string {
  if (refused) return `refused: ${refused}`;
  return afterRestart ? `after a restart: ${afterRestart}` : '';
}

/** Each setting with its value and where it came from; once for all instances that agree. */
export function explainTable(instances: Instances, key?: string): string[] {
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
      printable(alike.map(({ instance }) => instance).join(', ')),
      ...textTable([['setting', 'value', '', 'from', ''], ...rows], '  '),
      ...wrong.map((one) =>
        printable(`  ${one} is set at the config server, and the service has no such setting`),
      ),
    ];
  });
}

/**
 * What running instances made of a version. Where none has answered, one may still.
 * @param changes what it changed; `after` is null where a setting was taken away
 * @param name how instances call it
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
    const said = instances.map(({ instance, settings, unknown }) => {
      const setting = settings.find((one) => one.key === key);
      if (!setting && (unknown.includes(key) || after === null)) return 'the service has no such setting';
      if (setting?.refused) {
        refused = true;
        return `refused by ${instance}: ${setting.refused}`;
      }
      if (setting?.origin === 'environment' || setting?.origin === 'file')
        return `the ${setting.origin} goes first`;
      if (setting?.afterRestart) return 'takes effect after a restart';
      if (setting?.from?.startsWith(name)) return 'in force';
      if (setting?.origin === 'default' && after === null) return 'in force: the default';
      complete = false;
      return setting?.from ? `${setting.from} is in force` : 'not in force';
    });
    const counted = [...Map.groupBy(said, (one) => one)].map(([one, { length }]) =>
      length === instances.length ? one : `${one} (${length} of ${instances.length} instances)`,
    );
    return printable(`  ${key}: ${counted.join('; ')}`);
  });
  return { lines, complete, refused };
}
