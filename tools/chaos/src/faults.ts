import { spawnSync } from 'node:child_process';
import { setTimeout as pause } from 'node:timers/promises';
import { Random } from './random.ts';
import { type FaultName, type Planned } from './schedule.ts';
import { services } from './services.ts';
import { type Store } from './store.ts';
import { type Tap } from './tap.ts';

export interface World {
  store: Store;
  tap: Tap;
  seed: number;
  /** Aborted when the run ends early: whatever lasts is undone at once. */
  over: AbortSignal;
}

/** What became of a fault. */
export interface Blow {
  /** False where there was nothing to hit. */
  hit: boolean;
  /** Worth telling. */
  said: string;
}

export interface Fault {
  /** In the help. */
  does: string;
  /** Resolves when it is undone by us or was done; the supervisor undoes the rest. */
  strike: (world: World, plan: Planned) => Promise<Blow>;
}

async function pidOf({ store }: World, service: string): Promise<number | undefined> {
  return (await store.rows()).find((row) => row.service === service)?.pid;
}

function signal(pid: number | undefined, name: NodeJS.Signals): Blow {
  if (!pid) return { hit: false, said: 'it was down already' };
  try {
    process.kill(pid, name);
    return { hit: true, said: `${name} to process ${pid}` };
  } catch {
    return { hit: false, said: 'it was gone already' };
  }
}

function childrenOf(pid: number): number[] {
  const { stdout } = spawnSync('ps', ['-A', '-o', 'pid=,ppid='], { encoding: 'utf8' });
  const pairs = stdout
    .trim()
    .split('\n')
    .map((line) => line.trim().split(/\s+/).map(Number));
  return pairs.filter(([, parent]) => parent === pid).map(([child]) => child!);
}

async function untilReady(
  world: World,
  service: string,
  notPid: number | undefined,
  patience = 25_000,
): Promise<void> {
  for (const end = Date.now() + patience; Date.now() < end && !world.over.aborted;) {
    const row = (await world.store.rows()).find((one) => one.service === service);
    if (row?.state === 'ready' && row.pid !== notPid) return;
    await pause(300, undefined, { signal: world.over }).catch(() => undefined);
  }
}

async function killBroker(world: World, frozenFor: number): Promise<Blow> {
  const rowOf = async () => (await world.store.rows()).find(({ service }) => service === 'broker');
  // Right after its start queues may be being declared: killing it then can break one for good.
  const youth = 6_000 - ((await rowOf())?.uptime ?? 0);
  if (youth > 0) await pause(youth, undefined, { signal: world.over }).catch(() => undefined);
  const pid = (await rowOf())?.pid;
  if (frozenFor > 0) {
    signal(pid, 'SIGSTOP');
    await pause(frozenFor, undefined, { signal: world.over }).catch(() => undefined);
  }
  const blow = signal(pid, 'SIGKILL');
  await untilReady(world, 'broker', pid);
  return blow;
}

/** Everything that can be done to a store. */
export const faults: Record<FaultName, Fault> = {
  kill: {
    does: 'SIGKILL of a service; the supervisor starts it again',
    strike: async (world, { service }) => signal(await pidOf(world, service), 'SIGKILL'),
  },
  stop: {
    does: 'SIGSTOP of a service for 5 s (in long runs also for 20 s), then SIGCONT',
    strike: async (world, { service, lasts }) => {
      const pid = await pidOf(world, service);
      const { hit, said } = signal(pid, 'SIGSTOP');
      await pause(lasts * 1_000, undefined, { signal: world.over }).catch(() => undefined);
      signal(pid, 'SIGCONT');
      return { hit, said: `${said}, for ${lasts} s` };
    },
  },
  term: {
    does: 'SIGTERM of a service: it drains, and the supervisor starts it again',
    strike: async (world, { service }) => signal(await pidOf(world, service), 'SIGTERM'),
  },
  roll: {
    does: 'SIGTERM of every service, each after the one before has come back, or after 8 s',
    strike: async (world) => {
      const hit: string[] = [];
      for (const service of services) {
        if (world.over.aborted) break;
        const pid = await pidOf(world, service);
        if (signal(pid, 'SIGTERM').hit) hit.push(service);
        await untilReady(world, service, pid, 8_000);
      }
      return { hit: hit.length > 0, said: `SIGTERM to ${hit.join(', ') || 'nobody'}` };
    },
  },
  broker: {
    does: 'SIGKILL of RabbitMQ; the supervisor starts it again',
    strike: (world) => killBroker(world, 0),
  },
  freeze: {
    does: 'SIGSTOP of RabbitMQ for 2 s and then SIGKILL: what it was sent meanwhile is lost with it',
    strike: (world) => killBroker(world, 2_000),
  },
  database: {
    does: 'SIGKILL of PostgreSQL, the postmaster and all its children; the supervisor starts it again',
    strike: async (world) => {
      const pid = await pidOf(world, 'database');
      const children = pid ? childrenOf(pid) : [];
      const { hit, said } = signal(pid, 'SIGKILL');
      for (const child of children) signal(child, 'SIGKILL');
      await untilReady(world, 'database', pid);
      return { hit, said: `${said} and to ${children.length} children` };
    },
  },
  connections: {
    does: 'every connection to the broker closed through its management API',
    strike: async ({ store, over }) => {
      let all: { name: string }[] = [];
      // Its statistics are seconds old: of a broker that has just come back they know no connection.
      for (let tries = 0; all.length === 0 && tries < 20 && !over.aborted; tries += 1) {
        all = await store.manage('GET', 'connections?columns=name');
        if (all.length === 0) await pause(500, undefined, { signal: over }).catch(() => undefined);
      }
      await Promise.all(
        all.map(({ name }) => store.manage('DELETE', `connections/${encodeURIComponent(name)}`)),
      );
      return { hit: all.length > 0, said: `${all.length} closed` };
    },
  },
  queue: {
    // What was confirmed into a queue of commands or events and then deleted with it by hand is beyond any outbox: it
    // is marked as published. Questions may be lost at any time, so their queues may be, too.
    does: 'the queue of the queries of a service deleted; the service declares it again',
    strike: async ({ store }, { service }) => {
      const path = `queues/%2F/${service}.queries`;
      const hit = (await store.manage('GET', path)) !== undefined;
      await store.manage('DELETE', path);
      return { hit, said: `${service}.queries${hit ? '' : ' was not there'}` };
    },
  },
  duplicates: {
    does: 'for 5 s every event and command sent once more, at once or later and in another order',
    strike: async ({ tap, seed, over }, { at, lasts }) => {
      const copies = await tap.copyFor(lasts * 1_000, new Random(seed, `duplicates at ${at}`), over);
      return { hit: copies > 0, said: `${copies} copies` };
    },
  },
};
