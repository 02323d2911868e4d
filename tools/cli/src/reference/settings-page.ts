import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { environmentName } from '@jogakbo/service/environment';
import { type AnySettings, DatabaseSettings, isMarked, PlatformSettings } from '@jogakbo/service/settings';
import { formatMarkdownTable, toCode, toMarkdown } from '../markdown.ts';
import { type App } from '../workspace.ts';
import { startPage } from './contract-pages.ts';

type Shape = AnySettings['shape'];

/** The page with the settings of all services. It imports `src/settings.ts` of the apps. */
export async function formatSettings(apps: readonly App[]): Promise<string> {
  const own = await Promise.all(apps.map(async (app) => [app.name, await readOwnSettings(app)] as const));
  return [
    ...startPage(
      'Settings',
      'A setting comes from its environment variable, or from the file that `<NAME>_FILE` names, else from the config server, else from its default. `live` settings change while the service runs; others need a restart. `environment only` settings decide which parties a service trusts or which addresses it uses: the config server does not store them.',
    ),
    ...formatShape('Every service', PlatformSettings.shape),
    ...formatShape('Every service with a database', DatabaseSettings.shape),
    ...own.flatMap(([name, shape]) => (Object.keys(shape).length > 0 ? formatShape(name, shape) : [])),
  ].join('\n');
}

async function readOwnSettings({ folder }: App): Promise<Shape> {
  const path = join(folder, 'src', 'settings.ts');
  if (!existsSync(path)) return {};
  const exported = Object.values((await import(path)) as Record<string, Partial<AnySettings>>);
  return Object.assign({}, ...exported.map((one) => one?.shape ?? {})) as Shape;
}

function formatShape(title: string, shape: Shape): string[] {
  return [
    `## ${title}`,
    '',
    ...formatMarkdownTable([
      ['Variable', 'Key', 'Meaning', 'Default', 'Kind'],
      ...Object.entries(shape).map(([field, schema]) => [
        toCode(environmentName(field)),
        toCode(field),
        toMarkdown(schema.description ?? ''),
        formatDefault(schema),
        formatMarks(schema),
      ]),
    ]),
    '',
  ];
}

/** The value without the variable. A default may be generated: then it differs from read to read. */
function formatDefault(schema: Shape[string]): string {
  if (isMarked(schema, 'secret')) return '';
  const read = schema.safeParse(undefined);
  if (!read.success) return 'required';
  const text = typeof read.data === 'string' ? read.data : JSON.stringify(read.data);
  return text ? toCode(text) : '';
}

const formatMarks = (schema: Shape[string]): string =>
  [
    isMarked(schema, 'live') && 'live',
    isMarked(schema, 'secret') && 'secret',
    isMarked(schema, 'environmentOnly') && 'environment only',
  ]
    .filter(Boolean)
    .join(', ');
