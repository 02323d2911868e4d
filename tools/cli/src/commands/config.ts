import { setTimeout as pause } from 'node:timers/promises';
import type { Reply } from '@jogakbo/contract';
import type {
  CompareVersions,
  ExplainSettings,
  GetSettings,
  ListPlaces,
  ListVersions,
} from '@jogakbo/contracts-config';
import { describeEffect, formatExplanation, formatPlace, type Place } from './config-screen.ts';
import { CliError, UsageError } from '../terminal/cli-error.ts';
import { nearestName } from '@jogakbo/service/nearest-name';
import { asOperator, type OperatorClient } from './operator-client.ts';
import { toPrintable, toPrintableJson } from '../terminal/printable.ts';
import { readSecret } from '../terminal/read-secret.ts';
import { openState } from '../supervisor/state.ts';
import { formatTable } from '../terminal/text-table.ts';

export interface ConfigOptions {
  profile?: string;
  label?: string;
  reason?: string;
  secret?: boolean;
  unset?: string;
  from?: string;
  to?: string;
  json?: boolean;
}

const remedies = ['npx jogakbo config --help'];
/** Maximum wait until a change is in force in all instances. */
const effectTimeoutMs = 2_000;

function parseVersion(option: string, text: string | undefined): number {
  if (text !== undefined && /^\d{1,9}$/.test(text)) return Number(text);
  throw new UsageError(`Specify --${option} N, the number of a version.`, { remedies });
}

function getReason({ reason }: ConfigOptions): string {
  if (reason?.trim()) return reason;
  throw new UsageError('Specify a reason: --reason "…". It is stored with the change.', { remedies });
}

const print = (lines: string[]): number => {
  console.log(lines.join('\n'));
  return 0;
};
const printJson = (value: unknown): number => print([toPrintableJson(value)]);

async function get(
  client: OperatorClient,
  place: Place | undefined,
  [key]: string[],
  json?: boolean,
): Promise<number> {
  if (!place) {
    const { items } = await client.get<Reply<typeof ListPlaces>>('/v1/ops/config');
    if (json) return printJson(items);
    if (items.length === 0) return print(['Nothing is set: all settings have their defaults.']);
    const rows = items.map((one) => [formatPlace(one), String(one.version), one.by, one.at]);
    return print(formatTable([['place', 'version', 'by', 'at'], ...rows]));
  }
  const { items, version } = await client.get<Reply<typeof GetSettings>>(getPath(place), getQuery(place));
  const wanted = items.filter((one) => key === undefined || one.key === key);
  if (json) return printJson(key === undefined ? { version, items } : (wanted[0] ?? null));
  if (wanted.length === 0)
    return print([`${formatPlace(place)} ${key ? `has no setting ${key}` : 'sets nothing'}.`]);
  const rows = wanted.map((one) => [one.key, one.value, String(one.version), one.by, one.at]);
  return print(formatTable([['setting', 'value', 'version', 'by', 'at'], ...rows]));
}

async function set(
  client: OperatorClient,
  place: Place,
  pairs: string[],
  options: ConfigOptions,
): Promise<number> {
  const settings: { key: string; value: string | null; secret?: true }[] = [];
  for (const pair of pairs) {
    const [, key, given] = /^([^=]+)(?:=(.*))?$/s.exec(pair) ?? [];
    if (!key) throw new UsageError(`"${pair}" is not key=value.`, { remedies });
    // Without a value, read it from stdin: other users can see command lines.
    const value = given ?? (await readSecret(`${key}: `));
    settings.push({ key, value, ...(options.secret && { secret: true as const }) });
  }
  for (const key of options.unset?.split(',').filter(Boolean) ?? []) settings.push({ key, value: null });
  if (settings.length === 0)
    throw new UsageError('Specify what to set: key=value, or --unset key.', { remedies });
  const { version } = await client.post<{ version: number }>(`${getPath(place)}/versions`, {
    ...getQuery(place),
    reason: getReason(options),
    settings,
  });
  return reportEffect(client, place, version);
}

async function remove(
  client: OperatorClient,
  place: Place,
  keys: string[],
  options: ConfigOptions,
): Promise<number> {
  if (keys.length === 0) throw new UsageError('Specify the settings to delete.', { remedies });
  const { items } = await client.get<Reply<typeof GetSettings>>(getPath(place), getQuery(place));
  const set = items.map(({ key }) => key);
  for (const key of keys.filter((one) => !set.includes(one))) {
    const meant = nearestName(key, set);
    throw new UsageError(`${formatPlace(place)} has no setting ${key}.`, {
      remedies: [meant ? `did you mean ${meant}?` : `it has ${set.join(', ') || 'none'}`],
    });
  }
  const { version } = await client.post<{ version: number }>(`${getPath(place)}/versions`, {
    ...getQuery(place),
    reason: getReason(options),
    settings: keys.map((key) => ({ key, value: null })),
  });
  return reportEffect(client, place, version);
}

async function rollBack(client: OperatorClient, place: Place, options: ConfigOptions): Promise<number> {
  const body = { ...getQuery(place), to: parseVersion('to', options.to), reason: getReason(options) };
  const { version } = await client.post<{ version: number }>(`${getPath(place)}/rollbacks`, body);
  return reportEffect(client, place, version);
}

/** Waits until the running instances have applied the new version, and prints its effect. */
async function reportEffect(client: OperatorClient, place: Place, version: number): Promise<number> {
  const history = await client.get<Reply<typeof ListVersions>>(`${getPath(place)}/versions`, {
    ...getQuery(place),
    limit: '100',
  });
  const { changes = [] } = history.items.find((one) => one.version === version) ?? {};
  console.log(toPrintable(`${formatPlace(place)} is at version ${version}.`));
  if (place.application === 'application') return 0;
  const until = Date.now() + effectTimeoutMs;
  let wait = 100;
  for (;;) {
    const { instances } = await client.get<Reply<typeof ExplainSettings>>(`${getPath(place)}/in-force`);
    const effect = describeEffect(
      instances,
      changes,
      `version ${version} of ${place.application}/${place.profile} `,
    );
    if (effect.complete || Date.now() > until) {
      console.log(effect.lines.join('\n'));
      return effect.refused ? 1 : 0;
    }
    // Each poll is a request to the gateway with a log line, so the interval doubles.
    await pause(wait);
    wait *= 2;
  }
}

async function history(client: OperatorClient, place: Place, options: ConfigOptions): Promise<number> {
  if (options.from !== undefined || options.to !== undefined) {
    const { changes } = await client.get<Reply<typeof CompareVersions>>(`${getPath(place)}/diff`, {
      ...getQuery(place),
      from: String(parseVersion('from', options.from)),
      to: String(parseVersion('to', options.to)),
    });
    if (options.json) return printJson(changes);
    return print(changes.length > 0 ? formatChanges(changes) : ['The versions are equal.']);
  }
  const items: Reply<typeof ListVersions>['items'] = [];
  for (let cursor: string | null | undefined; cursor !== null;) {
    const page: Reply<typeof ListVersions> = await client.get(`${getPath(place)}/versions`, {
      ...getQuery(place),
      limit: '100',
      cursor,
    });
    items.push(...page.items);
    cursor = page.nextCursor;
  }
  if (options.json) return printJson(items);
  if (items.length === 0) return print([`${formatPlace(place)} has no history.`]);
  return print(
    items.flatMap(({ version, at, by, reason, restores, changes }) => [
      toPrintable(`version ${version}  ${at}  ${by}`),
      toPrintable(`  ${reason}${restores === null ? '' : ` (back to version ${restores})`}`),
      ...formatChanges(changes).map((line) => `    ${line}`),
    ]),
  );
}

const formatChanges = (changes: Reply<typeof CompareVersions>['changes']): string[] =>
  formatTable(
    changes.map(({ key, before, after }) => [key, before ?? '(not set)', '→', after ?? '(not set)']),
  );

async function explain(
  client: OperatorClient,
  place: Place,
  [key]: string[],
  json?: boolean,
): Promise<number> {
  const { instances } = await client.get<Reply<typeof ExplainSettings>>(`${getPath(place)}/in-force`);
  if (instances.length === 0) {
    throw new CliError(`No instance of ${place.application} responds.`, { remedies: ['npx jogakbo ps'] });
  }
  return json ? printJson(instances) : print(formatExplanation(instances, key));
}

const getPath = ({ application }: Place): string => `/v1/ops/config/${encodeURIComponent(application)}`;
const getQuery = ({ profile, label }: Place) => ({ profile, label });

/** `jogakbo config get | set | delete | history | rollback | explain`. */
export async function config(
  options: ConfigOptions,
  [verb, application, ...rest]: string[],
): Promise<number> {
  const { profile = 'default', label = 'main', json } = options;
  const place = application ? { application, profile, label } : undefined;
  const most = verb === 'set' || verb === 'delete' ? Infinity : verb === 'get' || verb === 'explain' ? 1 : 0;
  if (!['get', 'set', 'delete', 'history', 'rollback', 'explain'].includes(verb ?? '')) {
    throw new UsageError(
      verb
        ? `"config" does not know "${verb}".`
        : 'Specify an action: config get, set, delete, history, rollback or explain.',
      { remedies },
    );
  }
  if (rest.length > most)
    throw new UsageError(`"config ${verb}" accepts no argument "${rest[most]}".`, { remedies });
  if (!place && verb !== 'get') {
    throw new UsageError(`config ${verb} needs the name of a service, or "application" for all.`, {
      remedies,
    });
  }
  // Validated before any request to the store.
  if (verb === 'set' || verb === 'delete' || verb === 'rollback') getReason(options);
  if (verb === 'rollback') parseVersion('to', options.to);
  return asOperator(openState(), async (client) => {
    if (verb === 'set') return set(client, place!, rest, options);
    if (verb === 'delete') return remove(client, place!, rest, options);
    if (verb === 'history') return history(client, place!, options);
    if (verb === 'rollback') return rollBack(client, place!, options);
    return verb === 'get' ? get(client, place, rest, json) : explain(client, place!, rest, json);
  });
}
