// Against the stand-in for the API server of Kubernetes in tools/delivery.
import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { ApiServer } from '@jogakbo/delivery/src/engines/api-server.fixture.ts';
import type { Cluster, StoredObject } from '@jogakbo/delivery/src/engines/cluster.ts';
import { ClusterHistory } from './cluster-history.ts';
import { lockCluster } from './cluster-lock.ts';
import { scaleInCluster } from './cluster-scale.ts';
import { findPrevious } from './deployments.ts';

jest.setTimeout(30_000);

let server: ApiServer;
let clusters: Cluster[];
beforeEach(async () => {
  server = new ApiServer('tearoom');
  await server.start();
  // Two machines.
  clusters = [server.connect(), server.connect()];
});
afterEach(async () => {
  await server.stop();
});

describe('the history of a cluster', () => {
  const parts = [{ name: 'apps/tea', hash: 'a' }];
  const deploy = async (
    history: ClusterHistory,
    to: string,
    outcome: 'promoted' | 'rolled back' = 'promoted',
  ) => {
    const id = await history.begin({ service: 'tea', from: '0', to, reason: 'test', parts });
    await history.end({ id, service: 'tea', outcome, detail: 'any' });
  };

  it('is seen by every machine', async () => {
    const [here, there] = clusters.map((cluster) => new ClusterHistory(cluster, 'tearoom'));
    await deploy(here!, '1');
    const id = await there!.begin({ service: 'cups', to: '7', reason: 'other' });
    expect(await here!.read()).toMatchObject([
      {
        service: 'tea',
        from: '0',
        to: '1',
        outcome: 'promoted',
        reason: 'test',
        endedAt: expect.any(String),
      },
      { id, service: 'cups', to: '7', outcome: 'running' },
    ]);
    expect((await there!.readParts())('tea', '1')).toEqual(parts);
    expect((await there!.readParts())('cups', '7')).toBeUndefined();
  });

  it('keeps what only the last versions are built of', async () => {
    const history = new ClusterHistory(clusters[0]!, 'tearoom');
    for (let version = 1; version <= 8; version += 1) await deploy(history, String(version));
    await deploy(history, '9', 'rolled back');
    const find = await history.readParts();
    const known = Array.from({ length: 9 }, (_, index) => String(index + 1)).filter((one) =>
      find('tea', one),
    );
    expect(known).toEqual(['4', '5', '6', '7', '8', '9']);
    expect(await history.read()).toHaveLength(9);
  });

  it('loses nothing if two commands write at once', async () => {
    const all = clusters.map((cluster) => new ClusterHistory(cluster, 'tearoom'));
    await Promise.all(
      all.map((history, index) => history.begin({ service: 'tea', to: String(index), reason: 'race' })),
    );
    expect(await all[0]!.read()).toHaveLength(2);
  });

  it('knows which version ran before the first deployment', async () => {
    const history = new ClusterHistory(clusters[0]!, 'tearoom');
    await deploy(history, '1');
    expect(findPrevious(await history.read(), 'tea', '1')).toBe('0');
  });
});

interface Lease extends StoredObject {
  spec: { holderIdentity: string; renewTime: string };
}

describe('the lock of a cluster', () => {
  const getLease = () => server.find<Lease>('Lease', 'jogakbo-deploy')!;

  it('refuses a second deployment, and names who holds it', async () => {
    const release = await lockCluster(clusters[0]!);
    await expect(lockCluster(clusters[1]!)).rejects.toMatchObject({
      message: 'Another command is deploying to this store.',
      details: [expect.stringMatching(new RegExp(`^.+ on .+, process ${process.pid}, since \\d{4}-`))],
    });
    await release();
    await (
      await lockCluster(clusters[1]!)
    )();
  });

  it('lets only one of two commands in that come at once', async () => {
    const results = await Promise.allSettled(clusters.map((cluster) => lockCluster(cluster)));
    expect(results.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
    for (const one of results) if (one.status === 'fulfilled') await one.value();
  });

  it('hides no other error if the cluster went away: it ends by itself', async () => {
    const release = await lockCluster(clusters[0]!);
    await server.stop();
    await release();
    await server.start();
  });

  it('ends a minute after its command was killed, which then does not release the lock of the next', async () => {
    const killed = await lockCluster(clusters[0]!);
    const lease = getLease();
    const renewTime = new Date(Date.now() - 61_000).toISOString();
    server.put({ ...lease, spec: { ...lease.spec, holderIdentity: 'a killed command', renewTime } });
    const release = await lockCluster(clusters[1]!);
    await killed();
    expect(getLease().spec.holderIdentity).toContain(`process ${process.pid}`);
    await release();
    expect(getLease().spec.holderIdentity).toBe('');
  });
});

describe('scaling in a cluster', () => {
  const put = (apiVersion: string, kind: string, spec: object) =>
    server.put({ apiVersion, kind, metadata: { name: 'tea' }, spec });

  it('sets the limits of the autoscaler, which would undo everything else', async () => {
    put('apps/v1', 'Deployment', {
      replicas: 2,
      template: { metadata: { labels: {} }, spec: { containers: [{ name: 'tea', image: 'tea:1' }] } },
    });
    put('keda.sh/v1alpha1', 'ScaledObject', { minReplicaCount: 1, maxReplicaCount: 3 });
    await scaleInCluster(clusters[0]!, 'tea', 4);
    expect(server.find('ScaledObject', 'tea')!.spec).toEqual({ minReplicaCount: 4, maxReplicaCount: 4 });
    expect(server.find('Deployment', 'tea')!.spec).toMatchObject({ replicas: 2 });
    await scaleInCluster(clusters[0]!, 'tea', 2);
    expect(server.find('ScaledObject', 'tea')!.spec).toEqual({ minReplicaCount: 2, maxReplicaCount: 4 });
  });

  it('sets the Deployment if there is no autoscaler, and needs one of them', async () => {
    await expect(scaleInCluster(clusters[0]!, 'tea', 2)).rejects.toThrow(
      'The cluster has no Deployment tea.',
    );
    put('apps/v1', 'Deployment', {
      replicas: 2,
      template: { metadata: { labels: {} }, spec: { containers: [{ name: 'tea', image: 'tea:1' }] } },
    });
    await scaleInCluster(clusters[0]!, 'tea', 5);
    expect(server.find('Deployment', 'tea')!.spec).toMatchObject({ replicas: 5 });
  });
});
