import { join } from 'node:path';
import { SettingDescription } from '@jogakbo/service/settings-description';
import { formatMarkdownTable, toCode, toMarkdown } from '../markdown.ts';
import { readJson } from '../supervisor/state.ts';
import { type App } from '../workspace.ts';
import { startPage } from './contract-pages.ts';

/** The page with the settings of all services. @param apps built */
export function formatSettings(apps: readonly App[]): string {
  const all = apps.map((app) => [app.name, readSettings(app)] as const);
  const findGroup = (wanted: SettingDescription['group']) =>
    all
      .map(([, settings]) => settings.filter(({ group }) => group === wanted))
      .find((settings) => settings.length > 0) ?? [];
  return [
    ...startPage(
      'Settings',
      'A setting comes from its environment variable, or from the file that `<NAME>_FILE` names, else from the config server, else from its default. A _live_ setting changes while the service runs; others need a restart. An _environment only_ setting decides which parties a service trusts or which addresses it uses: the config server does not store it.',
    ),
    ...formatGroup('Every service', findGroup('platform')),
    ...formatGroup('Every service with a database', findGroup('database')),
    ...all.flatMap(([name, settings]) =>
      formatGroup(
        name,
        settings.filter(({ group }) => group === 'service'),
      ),
    ),
  ].join('\n');
}

/** Reads what the build of an app has written. Older builds have written no settings. */
const readSettings = ({ folder }: App): SettingDescription[] =>
  SettingDescription.array()
    .catch([])
    .parse(readJson(join(folder, 'dist', 'settings.json')));

function formatGroup(title: string, settings: readonly SettingDescription[]): string[] {
  if (settings.length === 0) return [];
  return [
    `## ${title}`,
    '',
    ...formatMarkdownTable([
      ['Variable and key', 'Meaning', 'Default'],
      ...settings.map((one) => [
        `${toCode(one.variable)}<br>${toCode(one.key)}`,
        [
          toMarkdown(one.description),
          one.live && '_live_',
          one.secret && '_secret_',
          one.environmentOnly && '_environment only_',
        ]
          .filter(Boolean)
          .join('; '),
        one.required ? 'required' : one.default ? toCode(one.default) : '',
      ]),
    ]),
    '',
  ];
}
