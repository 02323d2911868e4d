import { spawnSync } from 'node:child_process';
import { setTimeout as pause } from 'node:timers/promises';
import { type Disk } from './disk.ts';
import { type Links, type Peer } from './links.ts';
import { crashPoints, type ControlChannel } from './control-channel.ts';
import { Random } from './random.ts';
import { type FaultName, type Planned } from './schedule.ts';
import { services, stateful } from './services.ts';
import { type Store } from './store.ts';
import { type Tap } from './tap.ts';

export interface World {
  store: Store;
  tap: Tap;
  links: Links;
  inside: ControlChannel;
  /** Undefined where none may be mounted. */
  disk: Disk | undefined;
  /** Whether the services run under libfaketime. */
  hasClocks: boolean;
  seed: number;
  /** Aborted when the run ends early: whatever lasts is undone at once. */
  over: AbortSignal;
}

/** What became of a fault. */
export interface FaultEffect {
  /** False where there was nothing to hit. */
  hit: boolean;
  /** Worth telling. */
  said: string;
  /** The crash points at which a process ended. */
  points?: readonly string[];
}

export interface Fault {
  /** In the help. */
  does: string;
  /** Resolves when it is undone by us or was done; the supervisor undoes the rest. */
  strike: (world: World, plan: Planned) => Promise<FaultEffect>;
}

async function findPid({ store }: World, service: string): Promise<number | undefined> {
  return (await store.rows()).find((row) => row.service === service)?.pid;
}

function signal(pid: number | undefined, name: NodeJS.Signals): FaultEffect {
  if (!pid) return { hit: false, said: 'it was down already' };
  try {
    process.kill(pid, name);
    return { hit: true, said: `${name} to process ${pid}` };
  } catch {
    return { hit: false, said: 'it was gone already' };
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

/** So many seconds, or until the run is over. */
const lasting = ({ over }: World, seconds: number): Promise<void> =>
  pause(seconds * 1_000, undefined, { signal: over }).catch(() => undefined);

async function killBroker(world: World, frozenFor: number): Promise<FaultEffect> {
  const getRow = async () => (await world.store.rows()).find(({ service }) => service === 'broker');
  // Right after its start queues may be being declared: killing it then can break one for good.
  const youth = 6_000 - ((await getRow())?.uptime ?? 0);
  if (youth > 0) await pause(youth, undefined, { signal: world.over }).catch(() => undefined);
  const pid = (await getRow())?.pid;
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
    strike: async (world, { service }) => signal(await findPid(world, service), 'SIGKILL'),
  },
  stop: {
    does: 'SIGSTOP of a service for 5 s (in long runs also for 20 s), then SIGCONT',
    strike: async (world, { service, lasts }) => {
      const pid = await findPid(world, service);
      const { hit, said } = signal(pid, 'SIGSTOP');
      await lasting(world, lasts);
      signal(pid, 'SIGCONT');
      return { hit, said: `${said}, for ${lasts} s` };
    },
  },
  term: {
    does: 'SIGTERM of a service: it drains, and the supervisor starts it again',
    strike: async (world, { service }) => signal(await findPid(world, service), 'SIGTERM'),
  },
  roll: {
    does: 'SIGTERM of every service, each after the one before has come back, or after 8 s',
    strike: async (world) => {
      const hit: string[] = [];
      for (const service of services) {
        if (world.over.aborted) break;
        const pid = await findPid(world, service);
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
      const pid = await findPid(world, 'database');
      const children = pid ? listChildren(pid) : [];
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
    // Senders keep what they sent and send it again; whoever waits for an answer to what was lost never hears whether
    // it was done, which the check allows for.
    does: 'the queue of the queries, the commands or the events of a service deleted, with all that lies in it',
    strike: async (world, { service, at }) => {
      const { store, seed } = world;
      await untilReady(world, 'broker', undefined);
      const kinds = ['queries', 'commands', 'events'];
      const names = kinds.map((kind) => `${service}.${kind}`);
      const found = await Promise.all(names.map((name) => store.manage('GET', `queues/%2F/${name}`)));
      const there = names.filter((_, i) => found[i] !== undefined);
      if (there.length === 0) return { hit: false, said: `${service} has none` };
      const name = new Random(seed, `queue at ${at}`).pick(there);
      await store.manage('DELETE', `queues/%2F/${name}`);
      return { hit: true, said: name };
    },
  },
  duplicates: {
    does: 'for 5 s every event and command sent once more, at once or later and in another order',
    strike: async ({ tap, seed, over }, { at, lasts }) => {
      const copies = await tap.copyFor(lasts * 1_000, new Random(seed, `duplicates at ${at}`), over);
      return { hit: copies > 0, said: `${copies} copies` };
    },
  },
  crash: {
    does: 'for 10 s at each of the eight crash points, which are before and after a commit, publish, confirm or acknowledgement, a service ends itself with SIGKILL',
    strike: async (world, { at, lasts }) => {
      const { inside, seed } = world;
      const random = new Random(seed, `crash at ${at}`);
      const crashes = crashPoints.map((point) => ({
        ...{ id: `${at} ${point}`, point, service: random.pick(stateful) },
        nth: 1 + Math.floor(random.next() * 10),
      }));
      inside.arm(crashes);
      await lasting(world, lasts);
      const struck = inside.disarm(crashes);
      return {
        hit: struck.length > 0,
        said: struck.map(({ service, point }) => `${service} ${point}`).join(', ') || 'nobody came by',
        points: struck.map(({ point }) => point),
      };
    },
  },
  slow: {
    does: 'for 10 s everything between services and broker, and services and database, takes 50 ms longer each way',
    strike: async (world, { lasts }) => {
      await world.links.slow(50, lasting(world, lasts));
      return { hit: true, said: `50 ms each way, for ${lasts} s` };
    },
  },
  cut: {
    does: 'every connection between services and broker, and services and database, reset',
    strike: async ({ links }) => {
      const cut = links.cut();
      return { hit: cut > 0, said: `${cut} reset` };
    },
  },
  swallow: {
    does: 'for 12 s all that a service and its broker, or its database, say to each other vanishes on open connections',
    strike: async (world, { service, at, lasts }) => {
      const peers: Peer[] = ['RABBITMQ_URL', 'DATABASE_URL'];
      const peer = new Random(world.seed, `swallow at ${at}`).pick(peers);
      const lost = await world.links.swallow(service, peer, lasting(world, lasts));
      const said = `${lost} bytes between it and the ${peer === 'DATABASE_URL' ? 'database' : 'broker'}`;
      return { hit: lost > 0, said };
    },
  },
  disk: {
    does: 'for 8 s the disk under the database is full; where chaos may not mount one, this is left out',
    strike: async (world, { lasts }) => {
      const { disk } = world;
      if (!disk) return { hit: false, said: 'left out: nothing may be mounted here' };
      const size = disk.fill();
      await lasting(world, lasts);
      disk.empty();
      if (size === undefined) return { hit: false, said: 'it could not be filled' };
      // What cannot be written to its log makes PostgreSQL recover, or end; then it is started again.
      await untilReady(world, 'database', undefined);
      return { hit: true, said: `full at ${size >> 20} MB, for ${lasts} s` };
    },
  },
  clock: {
    does: 'for 10 s the clock of a service is an hour fast or slow; left out where libfaketime is not installed',
    strike: async (world, { service, at, lasts }) => {
      if (!world.hasClocks) return { hit: false, said: 'left out: libfaketime is not installed' };
      const offset = new Random(world.seed, `clock at ${at}`).pick(['+3600', '-3600']);
      world.inside.setClock(service, offset);
      await lasting(world, lasts);
      world.inside.setClock(service, '+0');
      return { hit: true, said: `${offset} s, for ${lasts} s` };
    },
  },
};
