// Against the stand-in for the API server in api-server.fixture.ts: there is no cluster here.
import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { NotReady } from '../engine.ts';
import { buildBase } from '../kubernetes/base.ts';
import { tearoom } from '../kubernetes/tea-room.fixture.ts';
import type { KubernetesObject } from '../kubernetes/objects.ts';
import { rollOut } from '../rollout.ts';
import { ApiServer } from './api-server.fixture.ts';
import type { Cluster } from './cluster.ts';
import type { Deployment, Pod } from './cluster-state.ts';
import { KubernetesEngine } from './kubernetes-engine.ts';

jest.setTimeout(60_000);

const service = 'gift-cards';
const release = { service, version: '2.0.0-b' };
const own = 'gift-cards-2-0-0-b';
const objects = Object.values(buildBase(tearoom, '1.0.0')).flat();
const find = (kind: string, name: string) =>
  structuredClone(objects.find((one) => one.kind === kind && one.metadata.name === name)!);

let server: ApiServer;
let cluster: Cluster;
let shifts: number[];
beforeEach(async () => {
  server = new ApiServer('tearoom');
  await server.start();
  cluster = server.connect();
  shifts = [];
  const current = find('Deployment', service) as KubernetesObject & { spec: Record<string, unknown> };
  // As an autoscaler has set it.
  current.spec.replicas = 2;
  server.put(current);
  await until(() => getReady('1.2.0').length === 2);
});
afterEach(async () => {
  await server.stop();
});

const createEngine = (used: readonly KubernetesObject[] = objects) =>
  new KubernetesEngine({
    ...{ environment: 'test', cluster, objects: used },
    getImage: (one) => `images.example/${one.service}:${one.version}`,
    shift: async (_release, percent) => shifts.push(percent) > 0,
  });

async function until(isDone: () => boolean): Promise<void> {
  while (!isDone()) await new Promise((resolve) => setTimeout(resolve, 5));
}

const getImages = () => server.list<Pod>('Pod').map(({ spec }) => spec.containers[0]!.image);
const getReady = (version: string) =>
  server
    .list<Pod>('Pod')
    .filter(({ spec, status }) => spec.containers[0]!.image.endsWith(`:${version}`) && status?.conditions);
const getDeployments = () => server.list('Deployment').map(({ metadata }) => metadata.name);

/** Lines of /metrics: how many messages a process has handled, and how. */
const renderMetrics = (version: string, ok: number, failed = 0) =>
  ['ok', 'fault']
    .map((outcome) => {
      const labels = `message="gift-cards.issue-card",kind="command",outcome="${outcome}",service="gift-cards",version="${version}"`;
      const count = outcome === 'ok' ? ok : failed;
      return [
        `messages_handled_seconds_bucket{le="+Inf",${labels}} ${count}`,
        `messages_handled_seconds_count{${labels}} ${count}`,
      ].join('\n');
    })
    .concat(
      `process_start_time_seconds{service="gift-cards",version="${version}"} 1700000000`,
      `process_resident_memory_bytes{service="gift-cards",version="${version}"} 90000000`,
    )
    .join('\n');

describe('the start of a version', () => {
  it('migrates, and then runs as many processes as the current version beside it', async () => {
    await createEngine().start(release);
    const migrated = server.writes.indexOf('apply Job gift-cards-migrate-2-0-0-b');
    expect(server.writes[migrated - 2]).toBe('apply NetworkPolicy gift-cards-migrate');
    expect(server.writes.slice(migrated + 1).sort()).toEqual([
      ...[
        `apply Deployment ${own}`,
        `apply NetworkPolicy ${service}`,
        `apply PodDisruptionBudget ${service}`,
      ],
      ...[`apply ScaledObject ${service}`, `apply Service ${service}`, `apply ServiceAccount ${service}`],
      `apply TriggerAuthentication ${service}`,
    ]);
    expect([getReady('1.2.0').length, getReady('2.0.0-b').length]).toEqual([2, 2]);
    expect(server.problems).toEqual([]);
  });

  it('sends every field as it is, also those that the client library has under other names', async () => {
    await createEngine().start({ service: 'labels', version: '2.0.0-b' });
    expect(server.find('NetworkPolicy', 'labels')!.spec).toEqual(find('NetworkPolicy', 'labels').spec);
    expect(JSON.stringify(server.find('NetworkPolicy', 'labels'))).toContain('"from"');
  });

  it('changes nothing else if a migration fails, and returns the end of its log', async () => {
    server.behave = ({ name }) => (name === 'migrate' ? { exitCode: 1, log: ['Error: no table'] } : {});
    const started = createEngine().start(release);
    await expect(started).rejects.toThrow('its migrations did not run (its process ended (code 1))');
    await expect(started).rejects.toMatchObject({ lines: ['Error: no table'] });
    const names = server.writes.map((one) => one.split(' ')[2]);
    expect(new Set(names)).toEqual(new Set(['gift-cards-migrate', 'gift-cards-migrate-2-0-0-b']));
    // The Job of the failed attempt is in the way of the next one, and its pod is still there.
    server.behave = () => ({});
    server.drainMs = 500;
    await createEngine().start(release);
    expect(getDeployments()).toContain(own);
  });

  it.each([
    [{ waiting: 'ImagePullBackOff' }, 'ImagePullBackOff', []],
    [{ exitCode: 78, log: ['Error: no settings'] }, 'its process ended (code 78)', ['Error: no settings']],
  ])('rejects a version whose container has %j', async (behaviour, reason, lines) => {
    server.behave = ({ name }) => (name === 'migrate' ? {} : behaviour);
    const error = await createEngine()
      .start(release)
      .catch((caught: unknown) => caught);
    expect(error).toBeInstanceOf(NotReady);
    expect(error).toMatchObject({ message: reason, lines });
  });

  it('applies no object that is not valid', async () => {
    const wrong = structuredClone(objects);
    const policy = wrong.find(({ kind, metadata }) => kind === 'NetworkPolicy' && metadata.name === service)!;
    (policy.spec as Record<string, unknown>).egres = [];
    await expect(createEngine(wrong).start(release)).rejects.toMatchObject({
      message: 'The Kubernetes objects are not valid; nothing was changed.',
      details: [`NetworkPolicy ${service}: spec.egres: is not a field of NetworkPolicy`],
    });
    expect(server.writes).toEqual([]);
  });
});

describe('a promotion', () => {
  it('gives the version to the Deployment of the service, and then ends the one beside it', async () => {
    const engine = createEngine();
    await engine.start(release);
    await engine.promote(release);
    expect(getDeployments()).toEqual([service]);
    // What the autoscaler has set stays.
    expect(server.find<Deployment>('Deployment', service)!.spec.replicas).toBe(2);
    expect(getImages().filter((image) => !image.endsWith('migrate'))).toEqual(
      expect.arrayContaining(Array(2).fill(`images.example/${service}:2.0.0-b`)),
    );
    expect(shifts).toEqual([0]);
    expect(server.problems).toEqual([]);
  });

  it('keeps the current version if its last step fails', async () => {
    const engine = createEngine();
    await engine.start(release);
    server.behave = ({ image }) => (image.endsWith(':2.0.0-b') ? { waiting: 'ImagePullBackOff' } : {});
    await expect(engine.promote(release)).rejects.toThrow('ImagePullBackOff');
    await until(() => getReady('1.2.0').length === 2);
    const { template } = server.find<Deployment>('Deployment', service)!.spec;
    expect(template.spec.containers[0]!.image).toBe('tearoom/gift-cards:1.2.0');
  });

  it('starts a service that did not run before', async () => {
    const engine = createEngine();
    await engine.start({ service: 'ledger', version: '1.0.0-a' });
    await engine.promote({ service: 'ledger', version: '1.0.0-a' });
    expect(getDeployments()).toEqual([service, 'ledger']);
  });
});

it('a withdrawn version is gone with its processes, and withdrawing it again does nothing', async () => {
  const engine = createEngine();
  await engine.start(release);
  server.drainMs = 200;
  await engine.withdraw(release);
  expect(getReady('2.0.0-b')).toEqual([]);
  await engine.withdraw(release);
  expect([getDeployments(), getReady('1.2.0').length]).toEqual([[service], 2]);
});

describe('a rollout', () => {
  const run = () => rollOut(createEngine(), release, { steps: [50, 100], watchMs: 50 }, () => undefined);

  it('measures the processes of both versions through the API server', async () => {
    server.behave = ({ image }) => ({ metrics: () => renderMetrics(image.split(':')[1]!, 7) });
    const engine = createEngine();
    await engine.start(release);
    const versions = await engine.measure(service);
    expect([...versions.keys()].sort()).toEqual(['1.2.0', '2.0.0-b']);
    expect(versions.get('2.0.0-b')).toMatchObject({
      instances: 2,
      ready: 2,
      restarts: 0,
      memory: 90_000_000,
    });
    expect(versions.get('2.0.0-b')!.traffic.get('gift-cards.issue-card')).toMatchObject({
      ok: 14,
      failed: 0,
    });
    // These processes were started before the test said what they answer.
    expect(versions.get('1.2.0')).toMatchObject({ instances: 2, ready: 2, memory: 0 });
  });

  it('promotes a version that is no worse', async () => {
    let handled = 0;
    server.behave = ({ image }) => ({ metrics: () => renderMetrics(image.split(':')[1]!, (handled += 5)) });
    await expect(run()).resolves.toMatchObject({ outcome: 'promoted' });
    expect(shifts).toEqual([50, 100, 0]);
    expect(getDeployments()).toEqual([service]);
  });

  it('withdraws a version that fails, and leaves the current one untouched', async () => {
    let count = 0;
    server.behave = ({ image }) => ({ metrics: () => renderMetrics(image.split(':')[1]!, 0, (count += 5)) });
    const before = server.find('Deployment', service)!.metadata.generation;
    await expect(run()).resolves.toMatchObject({
      outcome: 'rolled back',
      reason: expect.stringMatching(/gift-cards.issue-card: \d+ of \d+ failed/),
    });
    expect(shifts).toEqual([50, 0]);
    expect(getDeployments()).toEqual([service]);
    expect(server.find('Deployment', service)!.metadata.generation).toBe(before);
  });
});

it('two lost connections in a row do not end a rollout', async () => {
  server.lostRequests = 2;
  await createEngine().start(release);
  expect([server.lostRequests, getReady('2.0.0-b').length]).toEqual([0, 2]);
});

it('a cluster that does not respond is reported with its address', async () => {
  await server.stop();
  await expect(createEngine().start(release)).rejects.toThrow(
    /^The Kubernetes API at http:\/\/127\.0\.0\.1:\d+ does not respond: .*ECONNREFUSED/,
  );
  await server.start();
});
