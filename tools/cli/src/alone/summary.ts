import { relative } from 'node:path';
import { type BusDescription } from '@jogakbo/messaging/grants';
import { type RunRecord } from '../supervisor/run-record.ts';
import { type StateFolder } from '../supervisor/state.ts';
import { formatTable } from '../terminal/text-table.ts';
import { type App, root } from '../workspace.ts';
import type { PlannedStub, StubPlan } from './describe-stubs.ts';
import { developmentMemberId } from './development-token.ts';

export interface AloneSummary {
  app: Pick<App, 'name' | 'folder'>;
  /** Of the service. */
  url: string;
  bus: BusDescription;
  plan: StubPlan;
  run: Pick<RunRecord, 'publicUrl' | 'broker' | 'database'>;
  hasGateway: boolean;
  /** Those of the development token. */
  roles: readonly string[];
  token: string | undefined;
  stateFolder: Pick<StateFolder, 'folder'>;
}

const withoutService = (name: string): string => name.slice(name.indexOf('.') + 1);

/** One row per service and origin of its answers. */
function toRows({ service, requests, events }: PlannedStub): string[][] {
  const byOrigin = [...Map.groupBy(requests, ({ origin }) => origin)];
  const rows = byOrigin.map(([origin, some]) => [
    ...[service, 'stub', some.map(({ name }) => withoutService(name)).join(', ')],
    origin === 'example' ? 'examples from the contract' : origin,
  ]);
  return rows.length > 0 || events.length === 0 ? rows : [[service, 'stub', 'only its events', '']];
}

/** What runs for a service that runs alone: what is real, what is stubbed, and how to use it. */
export function formatAloneSummary(summary: AloneSummary): string[] {
  const { app, url, plan, run, hasGateway, stateFolder } = summary;
  const folder = relative(root, app.folder);
  const rows = [
    [app.name, 'real', url, `from ${folder}, restarted after each change`],
    ...(hasGateway && app.name !== 'gateway' ? [['gateway', 'real', run.publicUrl, '']] : []),
    ...(run.broker ? [['broker', 'real', run.broker.managementUrl ?? run.broker.url, run.broker.title]] : []),
    ...(run.database ? [['database', 'real', run.database.url, run.database.title]] : []),
    ...plan.services.flatMap(toRows),
    ...(app.name === 'config' ? [] : [['config', 'none', 'settings: environment, else defaults', '']]),
  ];
  return [
    '',
    ...formatTable(rows),
    '',
    `Other answers: ${folder}/stubs.ts, or --stub <request>=<rejection|fault|timeout>`,
    ...formatEvents(summary),
    ...formatCall(summary),
    `State: ${relative(process.cwd(), stateFolder.folder) || '.'}`,
    '',
  ];
}

function formatEvents({ app, plan }: AloneSummary): string[] {
  const events = plan.services.flatMap((one) => one.events);
  if (events.length === 0) return [];
  return ['', `Events that ${app.name} receives:`, ...events.map((name) => `  npx jogakbo emit ${name}`)];
}

/** A route that can be called as it is printed: the first GET without parameters, else the first one. */
function chooseRoute({ contracts }: BusDescription): { method: string; path: string } | undefined {
  const routes = contracts.flatMap(({ offered }) => offered?.routes ?? []);
  const chosen = routes.find((one) => one.startsWith('GET ') && !/[{*]/.test(one)) ?? routes[0];
  const [method, path] = chosen?.split(' ') ?? [];
  return method && path ? { method, path } : undefined;
}

function formatCall({ bus, run, roles, token }: AloneSummary): string[] {
  const route = chooseRoute(bus);
  if (!token) return [];
  const method = route && route.method !== 'GET' ? `-X ${route.method} ` : '';
  return [
    '',
    `A development token, for a day: member ${developmentMemberId} with the roles ${roles.join(', ')}`,
    `  TOKEN=${token}`,
    `  curl -s ${method}${run.publicUrl}${route?.path ?? '/'} -H "authorization: Bearer $TOKEN"`,
    '',
  ];
}
