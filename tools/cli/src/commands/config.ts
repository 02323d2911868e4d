import { setTimeout as pause } from 'node:timers/promises';
import type { Reply } from '@jogakbo/contract';
import type {
  CompareVersions,
  ExplainSettings,
  GetSettings,
  ListPlaces,
  ListVersions,
} from '@jogakbo/contracts-config';
import { describeEffect, formatExplanation, formatScope, type SettingsScope } from './config-screen.ts';
import { CliError, UsageError } from '../terminal/cli-error.ts';
import { nearestName } from '@jogakbo/service/nearest-name';
import { asOperator, type OperatorClient } from './operator-client.ts';
import { toPrintable, toPrintableJson } from '../terminal/printable.ts';
import { readSecret } from '../terminal/read-secret.ts';
import { openState } from '../supervisor/state.ts';
import { formatTable } from '../terminal/text-table.ts';

export interface ScopeOptions {
  profile: string;
  label: string;
  json?: boolean;
}

export interface ChangeOptions extends ScopeOptions {
  reason?: string;
}

export interface SetOptions extends ChangeOptions {
  secret?: boolean;
  unset?: string;
}

export interface HistoryOptions extends ScopeOptions {
  from?: string;
  to?: string;
}

const remedies = ['npx jogakbo config --help'];
/** Maximum wait until a change is in force in all instances. */
const effectTimeoutMs = 2_000;

function parseVersion(option: string, text: string | undefined): number {
  if (text !== undefined && /^\d{1,9}$/.test(text)) return Number(text);
  throw new UsageError(`Specify --${option} N, the number of a version.`, { remedies });
}

function getReason({ reason }: ChangeOptions): string {
  if (reason?.trim()) return reason;
  throw new UsageError('Specify a reason: --reason "…". It is stored with the change.', { remedies });
}

const print = (lines: string[]): number => {
  console.log(lines.join('\n'));
  return 0;
};
const printJson = (value: unknown): number => print([toPrintableJson(value)]);

export const getSettings = (
  application: string | undefined,
  key: string | undefined,
  options: ScopeOptions,
): Promise<number> =>
  asOperator(openState(), (client) =>
    application === undefined
      ? listScopes(client, options)
      : showSettings(client, toScope(application, options), key, options),
  );

async function listScopes(client: OperatorClient, { json }: ScopeOptions): Promise<number> {
  const { items } = await client.get<Reply<typeof ListPlaces>>('/v1/ops/config');
  if (json) return printJson(items);
  if (items.length === 0) return print(['Nothing is set: all settings have their defaults.']);
  const rows = items.map((one) => [formatScope(one), String(one.version), one.by, one.at]);
  return print(formatTable([['scope', 'version', 'by', 'at'], ...rows]));
}

async function showSettings(
  client: OperatorClient,
  scope: SettingsScope,
  key: string | undefined,
  { json }: ScopeOptions,
): Promise<number> {
  const { items, version } = await client.get<Reply<typeof GetSettings>>(getPath(scope), getQuery(scope));
  const wanted = items.filter((one) => key === undefined || one.key === key);
  if (json) return printJson(key === undefined ? { version, items } : (wanted[0] ?? null));
  if (wanted.length === 0)
    return print([`${formatScope(scope)} ${key ? `has no setting ${key}` : 'sets nothing'}.`]);
  const rows = wanted.map((one) => [one.key, one.value, String(one.version), one.by, one.at]);
  return print(formatTable([['setting', 'value', 'version', 'by', 'at'], ...rows]));
}

export async function setSettings(
  application: string,
  pairs: string[],
  options: SetOptions,
): Promise<number> {
  const reason = getReason(options);
  const settings = await readNewSettings(pairs, options);
  return asOperator(openState(), (client) =>
    change(client, toScope(application, options), 'versions', { reason, settings }),
  );
}

interface NewSetting {
  key: string;
  /** Null removes the setting. */
  value: string | null;
  secret?: true;
}

/** @throws UsageError if there is none, or one is not key=value */
async function readNewSettings(pairs: string[], options: SetOptions): Promise<NewSetting[]> {
  const unnamed = pairs.filter((pair) => !pair.includes('='));
  if (unnamed.length > 1 && !process.stdin.isTTY) {
    throw new UsageError(`Only one value can be read from standard input, not ${unnamed.join(' and ')}.`, {
      remedies: ['set them one after the other'],
    });
  }
  const settings: NewSetting[] = [];
  for (const pair of pairs) {
    const [, key, given] = /^([^=]+)(?:=(.*))?$/s.exec(pair) ?? [];
    if (!key) throw new UsageError(`"${pair}" is not key=value.`, { remedies });
    // Without a value, read it from stdin: other users can see command lines.
    const value = given ?? (await readSecret(key));
    settings.push({ key, value, ...(options.secret && { secret: true as const }) });
  }
  for (const key of options.unset?.split(',').filter(Boolean) ?? []) settings.push({ key, value: null });
  if (settings.length === 0)
    throw new UsageError('Specify what to set: key=value, or --unset key.', { remedies });
  return settings;
}

export async function deleteSettings(
  application: string,
  keys: string[],
  options: ChangeOptions,
): Promise<number> {
  const reason = getReason(options);
  const scope = toScope(application, options);
  return asOperator(openState(), async (client) => {
    await assertSet(client, scope, keys);
    const settings = keys.map((key) => ({ key, value: null }));
    return change(client, scope, 'versions', { reason, settings });
  });
}

/** @throws UsageError with the nearest name for a setting that is not set */
async function assertSet(client: OperatorClient, scope: SettingsScope, keys: string[]): Promise<void> {
  const { items } = await client.get<Reply<typeof GetSettings>>(getPath(scope), getQuery(scope));
  const set = items.map(({ key }) => key);
  for (const key of keys.filter((one) => !set.includes(one))) {
    const meant = nearestName(key, set);
    throw new UsageError(`${formatScope(scope)} has no setting ${key}.`, {
      remedies: [meant ? `did you mean ${meant}?` : `it has ${set.join(', ') || 'none'}`],
    });
  }
}

export async function rollBackSettings(
  application: string,
  options: ChangeOptions & { to?: string },
): Promise<number> {
  const body = { to: parseVersion('to', options.to), reason: getReason(options) };
  return asOperator(openState(), (client) =>
    change(client, toScope(application, options), 'rollbacks', body),
  );
}

async function change(
  client: OperatorClient,
  scope: SettingsScope,
  what: 'versions' | 'rollbacks',
  body: object,
): Promise<number> {
  const { version } = await client.post<{ version: number }>(`${getPath(scope)}/${what}`, {
    ...getQuery(scope),
    ...body,
  });
  return reportEffect(client, scope, version);
}

/** Waits until the running instances have applied the new version, and prints its effect. */
async function reportEffect(client: OperatorClient, scope: SettingsScope, version: number): Promise<number> {
  const history = await client.get<Reply<typeof ListVersions>>(`${getPath(scope)}/versions`, {
    ...getQuery(scope),
    limit: '100',
  });
  const { changes = [] } = history.items.find((one) => one.version === version) ?? {};
  console.log(toPrintable(`${formatScope(scope)} is at version ${version}.`));
  if (scope.application === 'application') return 0;
  const until = Date.now() + effectTimeoutMs;
  let wait = 100;
  for (;;) {
    const { instances } = await client.get<Reply<typeof ExplainSettings>>(`${getPath(scope)}/in-force`);
    const effect = describeEffect(
      instances,
      changes,
      `version ${version} of ${scope.application}/${scope.profile} `,
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

export const showHistory = (application: string, options: HistoryOptions): Promise<number> =>
  asOperator(openState(), (client) =>
    options.from === undefined && options.to === undefined
      ? listVersions(client, toScope(application, options), options)
      : compareVersions(client, toScope(application, options), options),
  );

async function compareVersions(
  client: OperatorClient,
  scope: SettingsScope,
  { from, to, json }: HistoryOptions,
): Promise<number> {
  const { changes } = await client.get<Reply<typeof CompareVersions>>(`${getPath(scope)}/diff`, {
    ...getQuery(scope),
    from: String(parseVersion('from', from)),
    to: String(parseVersion('to', to)),
  });
  if (json) return printJson(changes);
  return print(changes.length > 0 ? formatChanges(changes) : ['The versions are equal.']);
}

async function listVersions(
  client: OperatorClient,
  scope: SettingsScope,
  { json }: HistoryOptions,
): Promise<number> {
  const items: Reply<typeof ListVersions>['items'] = [];
  for (let cursor: string | null | undefined; cursor !== null;) {
    const page: Reply<typeof ListVersions> = await client.get(`${getPath(scope)}/versions`, {
      ...getQuery(scope),
      limit: '100',
      cursor,
    });
    items.push(...page.items);
    cursor = page.nextCursor;
  }
  if (json) return printJson(items);
  if (items.length === 0) return print([`${formatScope(scope)} has no history.`]);
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

export async function explainSettings(
  application: string,
  key: string | undefined,
  { json, ...options }: ScopeOptions,
): Promise<number> {
  const path = `${getPath(toScope(application, options))}/in-force`;
  const { instances } = await asOperator(openState(), (client) =>
    client.get<Reply<typeof ExplainSettings>>(path),
  );
  if (instances.length === 0) {
    throw new CliError(`No instance of ${application} responds.`, { remedies: ['npx jogakbo ps'] });
  }
  return json ? printJson(instances) : print(formatExplanation(instances, key));
}

const toScope = (application: string, { profile, label }: ScopeOptions): SettingsScope => ({
  application,
  profile,
  label,
});
const getPath = ({ application }: SettingsScope): string =>
  `/v1/ops/config/${encodeURIComponent(application)}`;
const getQuery = ({ profile, label }: SettingsScope) => ({ profile, label });
