import { isAlive, memoryOf, type ProcessMark, treeOf } from './processes.ts';
import { type BackingRecord, readRun, type RunRecord, supervisorLives } from './run-record.ts';
import { openState } from './state.ts';
import { duration, megabytes, textTable } from './text-table.ts';

export interface Row {
  service: string;
  state: string;
  pid?: number;
  url?: string;
  /** It talks TLS only, to those who have a certificate of the store. */
  tls?: boolean;
  /** Milliseconds. */
  uptime?: number;
  restarts: number;
  /** Bytes. */
  memory: number;
}

const memoryOfAll = (roots: ProcessMark[]) =>
  roots
    .filter(isAlive)
    .flatMap(({ pid }) => treeOf(pid))
    .reduce((sum, pid) => sum + memoryOf(pid), 0);

function backingRow(name: string, backing: BackingRecord, now: number): Row {
  const alive = backing.kind !== 'private' || isAlive(backing.roots[0]);
  return {
    service: name,
    state: alive ? (backing.kind === 'given' ? 'given' : 'ready') : 'ended',
    pid: backing.roots[0]?.pid,
    url: backing.managementUrl ?? backing.url,
    tls: backing.tls !== undefined,
    uptime: alive ? now - backing.since : undefined,
    restarts: 0,
    memory: memoryOfAll(backing.roots),
  };
}

export function rowsOf(run: RunRecord, now = Date.now()): Row[] {
  const services = run.services.map((service): Row => {
    const alive = isAlive(service.process);
    return {
      service: service.name,
      state: service.state === 'ready' && !alive ? 'ended' : service.state,
      pid: alive ? service.process!.pid : undefined,
      url: service.name === 'gateway' && service.url ? run.publicUrl : service.url,
      uptime: alive ? now - service.since : undefined,
      restarts: service.restarts,
      memory: alive ? memoryOf(service.process!.pid) : 0,
    };
  });
  return [
    ...services,
    ...(run.broker ? [backingRow('broker', run.broker, now)] : []),
    ...(run.database ? [backingRow('database', run.database, now)] : []),
    {
      service: 'supervisor',
      state: supervisorLives(run) ? run.state : 'ended',
      pid: run.supervisor.pid,
      uptime: supervisorLives(run) ? now - run.since : undefined,
      restarts: 0,
      memory: supervisorLives(run) ? memoryOf(run.supervisor.pid) : 0,
    },
  ];
}

export async function ps({ json }: { json?: boolean }): Promise<number> {
  const run = readRun(openState());
  const rows = run ? rowsOf(run) : [];
  const total = rows.reduce((sum, { memory }) => sum + memory, 0);
  if (json) {
    console.log(
      JSON.stringify(
        {
          publicUrl: run?.publicUrl ?? null,
          state: run && supervisorLives(run) ? run.state : 'stopped',
          rows,
          memory: total,
        },
        null,
        2,
      ),
    );
    return run ? 0 : 1;
  }
  if (!run) {
    console.log('The store is not running. Start it:  npm start');
    return 1;
  }
  const table = rows.map(({ service, state, tls, pid, url, uptime, restarts, memory }) => [
    service,
    tls ? `${state} (TLS)` : state,
    String(pid ?? ''),
    url ?? '',
    uptime === undefined ? '' : duration(uptime),
    String(restarts),
    megabytes(memory),
  ]);
  const head = ['service', 'state', 'pid', 'url', 'uptime', 'restarts', 'memory'];
  console.log(textTable([head, ...table, ['total', '', '', '', '', '', megabytes(total)]]).join('\n'));
  if (!supervisorLives(run))
    console.log('\nThe supervisor is gone. npm start mends this; npm run stop ends what is left.');
  return 0;
}
