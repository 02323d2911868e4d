import { setTimeout as pause } from 'node:timers/promises';
import { DeliveryError } from '../delivery-error.ts';
import { type Engine, NotReady, type Release, type ShiftCalls, type VersionState } from '../engine.ts';
import { HandledTraffic } from '../handled-traffic.ts';
import { checkSchema } from '../kubernetes/check/schemas.ts';
import { httpPort, labelKeys, selectPods, type KubernetesObject } from '../kubernetes/objects.ts';
import { buildVersion, toVersionedName, type VersionObjects } from '../kubernetes/versions.ts';
import { readMetrics } from '../read-metrics.ts';
import { type Cluster, kinds } from './cluster.ts';
import {
  type Deployment,
  findDeploymentProblem,
  findPodProblem,
  isOwnedBy,
  isReady,
  isRolledOut,
  type Job,
  type Pod,
  toVersion,
} from './cluster-state.ts';

export interface KubernetesEngineOptions {
  environment: string;
  cluster: Cluster;
  /** The objects of the environment: a rendered overlay. */
  objects: readonly KubernetesObject[];
  /** The image of a version, with a tag or a digest. */
  getImage: (release: Release) => string;
  shift: ShiftCalls;
}

/** Lines of a log that explain a failure. */
const logLines = 20;
/** Longer than the deadlines of a Job and of a Deployment, which the cluster itself enforces. */
const maxWaitMs = 20 * 60_000;
/** A finished Job is kept this long, for its log. */
const keptJobSeconds = 86_400;

/**
 * Runs versions in a Kubernetes cluster. A new version has a Deployment of its own beside that of the current version. When it
 * is promoted, the Deployment with the name of the service gets it by a rolling update, and its own one is deleted.
 */
export class KubernetesEngine implements Engine {
  readonly environment: string;
  readonly #options: KubernetesEngineOptions;
  readonly #cluster: Cluster;
  readonly #handled = new HandledTraffic();

  constructor(options: KubernetesEngineOptions) {
    this.environment = options.environment;
    this.#options = options;
    this.#cluster = options.cluster;
  }

  /** The migration comes first: if it fails, nothing else has changed. */
  async start(release: Release): Promise<void> {
    const objects = this.#build(release);
    await assertValid([...objects.migration, ...objects.shared, objects.candidate, objects.current]);
    const current = await this.#cluster.read<Deployment>(kinds.deployment, release.service);
    await this.#migrate(objects.migration);
    for (const object of objects.shared) await this.#cluster.apply(object);
    const replicas = Math.max(1, current?.spec.replicas ?? 1);
    const { name } = objects.candidate.metadata;
    await this.#cluster.apply(setReplicas(objects.candidate, replicas));
    await this.#waitUntilReady(name, {
      ...selectPods(release.service, 'service'),
      ...candidateLabels(release),
    });
  }

  shift(release: Release, percent: number): Promise<boolean> {
    return this.#options.shift(release, percent);
  }

  async measure(service: string): Promise<Map<string, VersionState>> {
    const pods = await this.#listPods(selectPods(service, 'service'));
    const running = pods.filter(({ metadata }) => !metadata.deletionTimestamp);
    const memory = new Map(
      await Promise.all(running.map(async (pod) => [pod, await this.#scrape(pod)] as const)),
    );
    const versions = new Map<string, VersionState>();
    for (const [version, all] of Map.groupBy(running, toVersion))
      versions.set(version, {
        instances: all.length,
        ready: all.filter(isReady).length,
        restarts: all
          .flatMap(({ status }) => status?.containerStatuses ?? [])
          .reduce((sum, one) => sum + one.restartCount, 0),
        memory: Math.max(...all.map((pod) => memory.get(pod)!)),
        traffic: this.#handled.sum(version),
      });
    return versions;
  }

  /** The rolling update keeps the current version at strength, and the candidate handles the calls meanwhile. */
  async promote(release: Release): Promise<void> {
    const { service, version } = release;
    const before = await this.#cluster.read<Deployment>(kinds.deployment, service);
    await this.#cluster.apply(this.#build(release).current);
    try {
      const labels = { ...selectPods(service, 'service'), [labelKeys.version]: version };
      await this.#waitUntilReady(service, labels);
    } catch (error) {
      await this.#restore(service, before);
      throw error;
    }
    await this.shift(release, 0);
    await this.withdraw(release);
  }

  /** Undoes a rolling update that does not complete: the processes of the version before it are still there. */
  async #restore(service: string, before: Deployment | undefined): Promise<void> {
    if (!before) return this.#cluster.delete(kinds.deployment, service);
    const { template } = before.spec;
    const [version, image] = [toVersion(template), template.spec.containers[0]!.image];
    await this.#cluster.apply(buildVersion(this.#options.objects, { service, version, image }).current);
  }

  /** Resolves when its processes have drained and ended. */
  async withdraw(release: Release): Promise<void> {
    await this.#cluster.delete(kinds.deployment, toVersionedName(release.service, release.version));
    const labels = { ...selectPods(release.service, 'service'), ...candidateLabels(release) };
    await this.#poll(async () => (await this.#listPods(labels)).length === 0);
  }

  #build(release: Release): VersionObjects {
    return buildVersion(this.#options.objects, { ...release, image: this.#options.getImage(release) });
  }

  #listPods(labels: Record<string, string>): Promise<Pod[]> {
    return this.#cluster.list<Pod>(kinds.pod, labels);
  }

  async #migrate(objects: readonly KubernetesObject[]): Promise<void> {
    const job = objects.at(-1);
    if (!job) return;
    const { name } = job.metadata;
    for (const policy of objects.slice(0, -1)) await this.#cluster.apply(policy);
    // A Job cannot run twice: one of an earlier attempt is deleted.
    await this.#cluster.delete(kinds.job, name);
    await this.#poll(async () => !(await this.#cluster.read(kinds.job, name)));
    // A migration that fails does so again: the operator sees its log at once.
    await this.#cluster.apply(setSpec(job, { backoffLimit: 0, ttlSecondsAfterFinished: keptJobSeconds }));
    await this.#poll(async () => {
      const { metadata, status } = (await this.#cluster.read<Job>(kinds.job, name))!;
      const findCondition = (type: string) =>
        status?.conditions?.find((one) => one.type === type && one.status === 'True');
      if (findCondition('Complete')) return true;
      const failed = findCondition('Failed');
      const pods = (await this.#listPods({ 'job-name': name })).filter((pod) => isOwnedBy(pod, metadata.uid));
      const problem = pods.map(findPodProblem).find(Boolean) ?? (failed && (failed.reason ?? 'failed'));
      if (!problem) return false;
      throw new NotReady(`its migrations did not run (${problem})`, await this.#readLogs(pods));
    });
  }

  /** @throws NotReady as soon as the cluster or a pod reports why it will not become ready */
  async #waitUntilReady(name: string, labels: Record<string, string>): Promise<void> {
    await this.#poll(async () => {
      const deployment = await this.#cluster.read<Deployment>(kinds.deployment, name);
      if (!deployment) throw new NotReady(`another command has deleted the Deployment ${name}`);
      if (isRolledOut(deployment)) return true;
      const pods = await this.#listPods(labels);
      const problem = pods.map(findPodProblem).find(Boolean) ?? findDeploymentProblem(deployment);
      if (!problem) return false;
      throw new NotReady(problem, await this.#readLogs(pods));
    });
  }

  /** The end of the log of the pod that tells most: one that has ended before. */
  async #readLogs(pods: readonly Pod[]): Promise<string[]> {
    const count = ({ status }: Pod) => status?.containerStatuses?.[0]?.restartCount ?? 0;
    const [pod] = pods.toSorted((one, other) => count(other) - count(one));
    return pod ? this.#cluster.readLog(pod.metadata.name, logLines, count(pod) > 0) : [];
  }

  /** @returns the bytes that its process uses; 0 if it does not answer */
  async #scrape(pod: Pod): Promise<number> {
    try {
      const text = await this.#cluster.readFromPod(pod.metadata.name, httpPort.containerPort, '/metrics');
      const { startedAt, memory, traffic } = readMetrics(text);
      this.#handled.set(toVersion(pod), `${pod.metadata.name} ${startedAt}`, traffic);
      return memory;
    } catch {
      return 0; // it is starting or draining
    }
  }

  /** Asks again after a pause that grows to one second. */
  async #poll(isDone: () => Promise<boolean>): Promise<void> {
    const until = Date.now() + maxWaitMs;
    for (let wait = 25; !(await isDone()); wait = Math.min(2 * wait, 1_000)) {
      await pause(wait);
      if (Date.now() < until) continue;
      const minutes = maxWaitMs / 60_000;
      throw new DeliveryError(`${this.environment}: the cluster did not finish within ${minutes} minutes.`);
    }
  }
}

const candidateLabels = ({ version }: Release): Record<string, string> => ({
  [labelKeys.version]: version,
  [labelKeys.candidate]: 'true',
});

const setSpec = (object: KubernetesObject, fields: object): KubernetesObject => ({
  ...object,
  spec: { ...(object.spec as object), ...fields },
});
const setReplicas = (deployment: KubernetesObject, replicas: number): KubernetesObject =>
  setSpec(deployment, { replicas });

/** @throws DeliveryError before anything is applied */
async function assertValid(objects: readonly KubernetesObject[]): Promise<void> {
  const problems = await Promise.all(
    objects.map(async (object) =>
      (await checkSchema(object)).map((problem) => `${object.kind} ${object.metadata.name}: ${problem}`),
    ),
  );
  if (problems.flat().length > 0)
    throw new DeliveryError('The Kubernetes objects are not valid; nothing was changed.', {
      details: problems.flat(),
      remedies: ['npx jogakbo kubernetes check'],
    });
}
