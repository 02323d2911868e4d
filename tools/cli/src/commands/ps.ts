import { isAlive, readMemory, type ProcessIdentity, listTree } from '../supervisor/processes.ts';
import { isContainerRunning } from '../backing/rabbitmq/docker-broker.ts';
import { toMessage } from '../terminal/cli-error.ts';
import { toPrintable, toPrintableJson } from '../terminal/printable.ts';
import {
  type BackingRecord,
  readRun,
  type RunRecord,
  type ServedRecord,
  isSupervisorAlive,
} from '../supervisor/run-record.ts';
import { fitTable, formatMegabytes, formatShortDuration } from '../terminal/text-table.ts';
import { openRunningState } from '../supervisor/running-state.ts';

export interface Row {
  service: string;
  /** Set for an instance of `jogakbo serve --version`. */
  version?: string;
  state: string;
  /** Why it is not ready, from its readiness check. */
  reason?: string;
  pid?: number;
  url?: string;
  /** It accepts only TLS connections with a client certificate of the store. */
  tls?: boolean;
  /** Milliseconds. */
  uptime?: number;
  restarts: number;
  /** Bytes. */
  memory: number;
}

const sumMemory = (roots: ProcessIdentity[]) =>
  roots
    .filter(isAlive)
    .flatMap(({ pid }) => listTree(pid))
    .reduce((sum, pid) => sum + readMemory(pid), 0);

/** Assumes that an external server runs. */
function isRunning({ kind, container, roots }: BackingRecord): boolean | Promise<boolean> {
  if (kind === 'external') return true;
  return container === undefined ? isAlive(roots[0]) : isContainerRunning(container, 3_000);
}

async function buildBackingRow(name: string, backing: BackingRecord, now: number): Promise<Row> {
  const alive = await isRunning(backing);
  return {
    service: name,
    state: alive ? (backing.kind === 'external' ? 'external' : 'ready') : 'ended',
    pid: alive ? backing.roots[0]?.pid : undefined,
    url: backing.managementUrl ?? backing.url,
    tls: backing.tls !== undefined,
    uptime: alive ? now - backing.since : undefined,
    restarts: 0,
    memory: sumMemory(backing.roots),
  };
}

/** The failed readiness checks of a running service; undefined if it is ready. */
async function findReadinessProblem(url: string): Promise<string | undefined> {
  try {
    const response = await fetch(`${url.replace('//localhost', '//127.0.0.1')}/health/ready`, {
      signal: AbortSignal.timeout(1_000),
    });
    if (response.ok) return void (await response.arrayBuffer());
    const { error = {} } = (await response.json()) as { error?: Record<string, { reason?: string }> };
    return Object.entries(error)
      .map(([name, { reason }]) => `${name}: ${reason ?? 'down'}`)
      .join('; ');
  } catch (error) {
    return toMessage(error);
  }
}

async function buildServiceRow(service: ServedRecord, run: RunRecord, now: number): Promise<Row> {
  const alive = isAlive(service.process);
  const answers = alive && service.url !== undefined && ['ready', 'served'].includes(service.state);
  const reason = answers ? await findReadinessProblem(service.url!) : undefined;
  return {
    service: service.name,
    ...(service.version && { version: service.version }),
    state:
      ['ready', 'served'].includes(service.state) && !alive ? 'ended' : reason ? 'not ready' : service.state,
    ...(reason && { reason }),
    pid: alive ? service.process!.pid : undefined,
    url: service.name === 'gateway' && service.url && !service.version ? run.publicUrl : service.url,
    uptime: alive ? now - service.since : undefined,
    restarts: service.restarts,
    memory: alive ? readMemory(service.process!.pid) : 0,
  };
}

/** In dense mode all services are one process: the first row has its memory. */
function countEachProcessOnce(rows: Row[]): Row[] {
  const counted = new Set<number | undefined>();
  return rows.map((row) => {
    const memory = counted.has(row.pid) ? 0 : row.memory;
    counted.add(row.pid);
    return { ...row, memory };
  });
}

export async function buildRows(run: RunRecord, now = Date.now()): Promise<Row[]> {
  const served = isSupervisorAlive(run) ? (run.served ?? []) : [];
  // An instance of `jogakbo serve` replaces the row of the store's own process.
  const replaced = served.filter(({ version }) => version === undefined);
  const own = run.services.filter(({ name }) => !replaced.some((one) => one.name === name));
  const names = [...own, ...served].sort((a, b) => a.name.localeCompare(b.name));
  const services = await Promise.all(names.map((service) => buildServiceRow(service, run, now)));
  return [
    ...countEachProcessOnce(services),
    ...(run.broker ? [await buildBackingRow('broker', run.broker, now)] : []),
    ...(run.database ? [await buildBackingRow('database', run.database, now)] : []),
    {
      service: 'supervisor',
      state: isSupervisorAlive(run) ? run.phase : 'ended',
      pid: run.supervisor.pid,
      uptime: isSupervisorAlive(run) ? now - run.since : undefined,
      restarts: 0,
      memory: isSupervisorAlive(run) ? readMemory(run.supervisor.pid) : 0,
    },
  ];
}

/** Formats a table of at most 80 columns. Shortens URLs; --json prints them in full. */
export function formatProcesses(rows: readonly Row[]): string[] {
  const cells = rows.map(({ service, version, state, tls, pid, url, uptime, restarts, memory }) => [
    version ? `${service} ${version}` : service,
    tls ? `${state} (TLS)` : state,
    String(pid ?? ''),
    url?.replace(/^\w+:\/\/[^@/]*@/, '').replace(/^(127[^/]*)\/.*$/, '$1') ?? '',
    uptime === undefined ? '' : formatShortDuration(uptime),
    restarts ? String(restarts) : '',
    formatMegabytes(memory),
  ]);
  const total = rows.reduce((sum, { memory }) => sum + memory, 0);
  const head = ['service', 'state', 'pid', 'url', 'up', 'restarts', 'memory'];
  const all = [head, ...cells, ['total', '', '', '', '', '', formatMegabytes(total)]];
  // Hides the restarts column without restarts.
  const restarted = rows.some(({ restarts }) => restarts > 0);
  const shown = restarted ? all : all.map((row) => row.filter((_, column) => column !== 5));
  return fitTable(shown, 80);
}

export async function ps({ json }: { json?: boolean }): Promise<number> {
  const run = readRun(openRunningState());
  const rows = run ? await buildRows(run) : [];
  const total = rows.reduce((sum, { memory }) => sum + memory, 0);
  if (json) {
    console.log(
      toPrintableJson({
        publicUrl: run?.publicUrl ?? null,
        state: run && isSupervisorAlive(run) ? run.phase : 'stopped',
        rows,
        memory: total,
      }),
    );
    return run ? 0 : 1;
  }
  if (!run) {
    console.log('The store is not running. Start it:  npm start');
    return 1;
  }
  console.log(formatProcesses(rows).join('\n'));
  for (const { service, reason } of rows)
    if (reason) console.log(`\n${service} is not ready: ${toPrintable(reason)}`);
  if (!isSupervisorAlive(run))
    console.log(
      '\nThe supervisor is not running. Restart the store with npm start, or end its processes with npm run stop.',
    );
  return 0;
}
