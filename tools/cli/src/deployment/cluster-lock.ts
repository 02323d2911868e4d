import { hostname } from 'node:os';
import { setTimeout as pause } from 'node:timers/promises';
import { type Cluster, kinds, type StoredObject } from '@jogakbo/delivery/src/engines/cluster.ts';
import { getUserName } from '../supervisor/audit-log.ts';
import { refuseSecondDeployment } from './deployments.ts';

interface Lease extends StoredObject {
  spec: { holderIdentity?: string; leaseDurationSeconds?: number; renewTime?: string; acquireTime?: string };
}

const name = 'jogakbo-deploy';
/** The lock of a killed command, or of one without a network, ends after this time. */
const durationSeconds = 60;
const renewMs = 15_000;
const pollMs = 2_000;

/** The API wants microseconds. */
const toMicroTime = (time: Date): string => time.toISOString().replace('Z', '000Z');

/**
 * Lets one command at a time deploy to a cluster, by a Lease that it renews.
 * @param waitMs how long to wait for the other command
 * @returns releases the lock
 * @throws CliError that names the holder, if another command holds it
 */
export async function lockCluster(cluster: Cluster, waitMs = 0): Promise<() => Promise<void>> {
  const holder = `${getUserName()} on ${hostname()}, process ${process.pid}`;
  for (const until = Date.now() + waitMs; ; await pause(pollMs)) {
    const known = await cluster.read<Lease>(kinds.lease, name);
    if (!known || isFree(known)) {
      const spec = createSpec(holder, known?.spec);
      const [apiVersion, kind] = kinds.lease;
      const held = known
        ? await cluster.replace<Lease>({ ...known, spec })
        : await cluster.create<Lease>({ apiVersion, kind, metadata: { name }, spec });
      if (held) return keepRenewing(cluster, held);
    } else if (Date.now() >= until) {
      const { holderIdentity, acquireTime } = known.spec;
      throw refuseSecondDeployment(`${holderIdentity}, since ${acquireTime ?? 'an unknown time'}`);
    }
  }
}

const createSpec = (holderIdentity: string, before?: Lease['spec']): Lease['spec'] => {
  const now = toMicroTime(new Date());
  return {
    ...before,
    holderIdentity,
    leaseDurationSeconds: durationSeconds,
    acquireTime: now,
    renewTime: now,
  };
};

function isFree({ spec }: Lease): boolean {
  const { holderIdentity, renewTime, leaseDurationSeconds = durationSeconds } = spec;
  if (!holderIdentity || renewTime === undefined) return true;
  return Date.parse(renewTime) + 1_000 * leaseDurationSeconds < Date.now();
}

function keepRenewing(cluster: Cluster, held: Lease): () => Promise<void> {
  let lease: Lease | undefined = held;
  const write = async (spec: Partial<Lease['spec']>): Promise<void> => {
    if (!lease) return;
    const changed = { ...lease, spec: { ...lease.spec, renewTime: toMicroTime(new Date()), ...spec } };
    // Undefined if another command has taken over the expired lock: it is not ours to release any more.
    lease = await cluster.replace<Lease>(changed);
  };
  let writing = Promise.resolve();
  const renew = () => (writing = writing.then(() => write({})).catch(() => undefined));
  const timer = setInterval(renew, renewMs).unref();
  return async () => {
    clearInterval(timer);
    await writing;
    // Without a connection it ends by itself.
    await write({ holderIdentity: '' }).catch(() => undefined);
  };
}
