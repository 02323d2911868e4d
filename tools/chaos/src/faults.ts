import { spawnSync } from 'node:child_process';
import { setTimeout as pause } from 'node:timers/promises';
import { type Disk } from './disk.ts';
import { type Links, type Peer } from './links.ts';
import { crashPoints, type ControlChannel } from './control-channel.ts';
import { Random } from './random.ts';
import { type FaultName, type PlannedFault } from './schedule.ts';
import { services, stateful } from './services.ts';
import { type Store } from './store.ts';
import { type Tap } from './tap.ts';

export interface FaultContext {
  store: Store;
  tap: Tap;
  links: Links;
  control: ControlChannel;
  /** Undefined if chaos may not mount a disk. */
  disk: Disk | undefined;
  /** Whether the services run under libfaketime. */
  hasClocks: boolean;
  seed: number;
  /** Aborted when the run ends early: every fault then ends at once. */
  abortSignal: AbortSignal;
}

/** Outcome of an injected fault. */
export interface FaultEffect {
  /** Whether the fault took effect. */
  hit: boolean;
  /** Details for the report. */
  detail: string;
  /** The crash points at which a process killed itself. */
  points?: readonly string[];
}

export interface Fault {
  /** Shown in the help. */
  description: string;
  /** Resolves when chaos has injected the fault and ended it, where it has to. The supervisor restarts processes. */
  inject: (context: FaultContext, plan: PlannedFault) => Promise<FaultEffect>;
}

async function findPid({ store }: FaultContext, service: string): Promise<number | undefined> {
  return (await store.listRows()).find((row) => row.service === service)?.pid;
}

function sendSignal(pid: number | undefined, name: NodeJS.Signals): FaultEffect {
  if (!pid) return { hit: false, detail: 'already down' };
  try {
    process.kill(pid, name);
    return { hit: true, detail: `${name} to process ${pid}` };
  } catch {
    return { hit: false, detail: 'process already gone' };
  }
}

function listChildren(pid: number): number[] {
  const { stdout } = spawnSync('ps', ['-A', '-o', 'pid=,ppid='], { encoding: 'utf8' });
  const pairs = stdout
    .trim()
    .split('\n')
    .map((line) => line.trim().split(/\s+/).map(Number));
  return pairs.filter(([, parent]) => parent === pid).map(([child]) => child!);
}

async function waitUntilReady(
  context: FaultContext,
  service: string,
  notPid: number | undefined,
  timeoutMs = 25_000,
): Promise<void> {
  for (const end = Date.now() + timeoutMs; Date.now() < end && !context.abortSignal.aborted;) {
    const row = (await context.store.listRows()).find((one) => one.service === service);
    if (row?.state === 'ready' && row.pid !== notPid) return;
    await pause(300, undefined, { signal: context.abortSignal }).catch(() => undefined);
  }
}

/** Resolves after these seconds, or when the run is aborted. */
const waitSeconds = ({ abortSignal }: FaultContext, seconds: number): Promise<void> =>
  pause(seconds * 1_000, undefined, { signal: abortSignal }).catch(() => undefined);

async function killBroker(context: FaultContext, frozenMs: number): Promise<FaultEffect> {
  const getRow = async () => (await context.store.listRows()).find(({ service }) => service === 'broker');
  // Services declare queues right after its start. A kill at that time can break a queue permanently.
  const delayMs = 6_000 - ((await getRow())?.uptime ?? 0);
  if (delayMs > 0) await pause(delayMs, undefined, { signal: context.abortSignal }).catch(() => undefined);
  const pid = (await getRow())?.pid;
  if (frozenMs > 0) {
    sendSignal(pid, 'SIGSTOP');
    await pause(frozenMs, undefined, { signal: context.abortSignal }).catch(() => undefined);
  }
  const effect = sendSignal(pid, 'SIGKILL');
  await waitUntilReady(context, 'broker', pid);
  return effect;
}

/** All faults by name. */
export const faults: Record<FaultName, Fault> = {
  kill: {
    description: 'SIGKILL of a service; the supervisor restarts it',
    inject: async (context, { service }) => sendSignal(await findPid(context, service), 'SIGKILL'),
  },
  stop: {
    description: 'SIGSTOP of a service for 5 s (in long runs also 20 s), then SIGCONT',
    inject: async (context, { service, lasts }) => {
      const pid = await findPid(context, service);
      const { hit, detail } = sendSignal(pid, 'SIGSTOP');
      await waitSeconds(context, lasts);
      sendSignal(pid, 'SIGCONT');
      return { hit, detail: `${detail}, for ${lasts} s` };
    },
  },
  term: {
    description: 'SIGTERM of a service: it drains, and the supervisor restarts it',
    inject: async (context, { service }) => sendSignal(await findPid(context, service), 'SIGTERM'),
  },
  roll: {
    description: 'SIGTERM of every service in turn: waits until the previous one is ready again, at most 8 s',
    inject: async (context) => {
      const hit: string[] = [];
      for (const service of services) {
        if (context.abortSignal.aborted) break;
        const pid = await findPid(context, service);
        if (sendSignal(pid, 'SIGTERM').hit) hit.push(service);
        await waitUntilReady(context, service, pid, 8_000);
      }
      return { hit: hit.length > 0, detail: `SIGTERM to ${hit.join(', ') || 'no service'}` };
    },
  },
  broker: {
    description: 'SIGKILL of RabbitMQ; the supervisor restarts it',
    inject: (context) => killBroker(context, 0),
  },
  freeze: {
    description: 'SIGSTOP of RabbitMQ for 2 s, then SIGKILL: messages sent in between are lost',
    inject: (context) => killBroker(context, 2_000),
  },
  database: {
    description: 'SIGKILL of PostgreSQL (postmaster and all children); the supervisor restarts it',
    inject: async (context) => {
      const pid = await findPid(context, 'database');
      const children = pid ? listChildren(pid) : [];
      const { hit, detail } = sendSignal(pid, 'SIGKILL');
      for (const child of children) sendSignal(child, 'SIGKILL');
      await waitUntilReady(context, 'database', pid);
      return { hit, detail: `${detail} and to ${children.length} children` };
    },
  },
  connections: {
    description: 'closes every broker connection through the management API',
    inject: async ({ store, abortSignal }) => {
      let all: { name: string }[] = [];
      // Its statistics lag by seconds: right after a restart of the broker they list no connection.
      for (let tries = 0; all.length === 0 && tries < 20 && !abortSignal.aborted; tries += 1) {
        all = await store.callManagementApi('GET', 'connections?columns=name');
        if (all.length === 0) await pause(500, undefined, { signal: abortSignal }).catch(() => undefined);
      }
      await Promise.all(
        all.map(({ name }) => store.callManagementApi('DELETE', `connections/${encodeURIComponent(name)}`)),
      );
      return { hit: all.length > 0, detail: `${all.length} closed` };
    },
  },
  queue: {
    // Senders publish lost messages again. A client may never get a reply to a lost request; the check allows this.
    description: 'deletes the queries, commands or events queue of a service with all its messages',
    inject: async (context, { service, at }) => {
      const { store, seed } = context;
      await waitUntilReady(context, 'broker', undefined);
      const kinds = ['queries', 'commands', 'events'];
      const names = kinds.map((kind) => `${service}.${kind}`);
      const found = await Promise.all(
        names.map((name) => store.callManagementApi('GET', `queues/%2F/${name}`)),
      );
      const existing = names.filter((_, i) => found[i] !== undefined);
      if (existing.length === 0) return { hit: false, detail: `${service} has no such queue` };
      const name = new Random(seed, `queue at ${at}`).pick(existing);
      await store.callManagementApi('DELETE', `queues/%2F/${name}`);
      return { hit: true, detail: name };
    },
  },
  duplicates: {
    description:
      'for 5 s, sends every event and command a second time, at once or later and in another order',
    inject: async ({ tap, seed, abortSignal }, { at, lasts }) => {
      const copies = await tap.copyFor(lasts * 1_000, new Random(seed, `duplicates at ${at}`), abortSignal);
      return { hit: copies > 0, detail: `${copies} copies` };
    },
  },
  crash: {
    description:
      'for at least 10 s, until the first one, services SIGKILL themselves at eight points: before and after a commit, publish, confirm and acknowledgement',
    inject: async (context, { at, lasts }) => {
      const { control, seed } = context;
      const random = new Random(seed, `crash at ${at}`);
      const crashes = crashPoints.map((point) => ({
        id: `${at} ${point}`,
        point,
        service: random.pick(stateful),
        nth: 1 + Math.floor(random.next() * 10),
      }));
      control.arm(crashes);
      await waitSeconds(context, lasts);
      // A slow machine handles too few messages in that time while it recovers from other faults.
      const hasCrashed = () => crashes.some(({ id }) => control.hasCrashed(id));
      for (let more = 0; more < 20 && !hasCrashed() && !context.abortSignal.aborted; more++)
        await waitSeconds(context, 1);
      const crashed = control.disarm(crashes);
      return {
        hit: crashed.length > 0,
        detail:
          crashed.map(({ service, point }) => `${service} ${point}`).join(', ') ||
          'no crash point was reached',
        points: crashed.map(({ point }) => point),
      };
    },
  },
  slow: {
    description: 'for 10 s, adds 50 ms each way between services and broker, and services and database',
    inject: async (context, { lasts }) => {
      await context.links.delay(50, waitSeconds(context, lasts));
      return { hit: true, detail: `50 ms each way, for ${lasts} s` };
    },
  },
  cut: {
    description: 'resets every connection between services and broker, and services and database',
    inject: async ({ links }) => {
      const count = links.resetAll();
      return { hit: count > 0, detail: `${count} reset` };
    },
  },
  swallow: {
    description: 'for 12 s, drops all data between a service and its broker or database on open connections',
    inject: async (context, { service, at, lasts }) => {
      const peers: Peer[] = ['RABBITMQ_URL', 'DATABASE_URL'];
      const peer = new Random(context.seed, `swallow at ${at}`).pick(peers);
      const lost = await context.links.dropTraffic(service, peer, waitSeconds(context, lasts));
      const detail = `${lost} bytes lost between it and the ${peer === 'DATABASE_URL' ? 'database' : 'broker'}`;
      return { hit: lost > 0, detail };
    },
  },
  disk: {
    description: 'for 8 s, fills the disk of the database; skipped if chaos may not mount a disk',
    inject: async (context, { lasts }) => {
      const { disk } = context;
      if (!disk) return { hit: false, detail: 'skipped: chaos may not mount a disk' };
      const size = disk.fill();
      await waitSeconds(context, lasts);
      disk.empty();
      if (size === undefined) return { hit: false, detail: 'could not fill the disk' };
      // A failed write to its log makes PostgreSQL recover or exit. The supervisor restarts it.
      await waitUntilReady(context, 'database', undefined);
      return { hit: true, detail: `full at ${size >> 20} MB, for ${lasts} s` };
    },
  },
  clock: {
    description:
      'for 10 s, moves the clock of a service an hour forward or back; skipped without libfaketime',
    inject: async (context, { service, at, lasts }) => {
      if (!context.hasClocks) return { hit: false, detail: 'skipped: libfaketime is not installed' };
      const offset = new Random(context.seed, `clock at ${at}`).pick(['+3600', '-3600']);
      context.control.setClock(service, offset);
      await waitSeconds(context, lasts);
      context.control.setClock(service, '+0');
      return { hit: true, detail: `${offset} s, for ${lasts} s` };
    },
  },
};
