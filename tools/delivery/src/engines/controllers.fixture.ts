import { randomUUID } from 'node:crypto';
import type { KubernetesObject } from '../kubernetes/objects.ts';
import type { Deployment, Job, Pod } from './cluster-state.ts';
import type { StoredObject } from './cluster.ts';

/** How a container behaves. Without anything, it becomes ready; in a Job, it ends with 0. */
export interface Behaviour {
  exitCode?: number;
  /** Why it does not start. */
  waiting?: string;
  log?: string[];
  /** The text of /metrics. */
  metrics?: () => string;
}
export type Behave = (container: { name: string; image: string; env?: object[] }) => Behaviour;

interface Template {
  metadata: { labels: Record<string, string> };
  spec: { containers: { name: string; image: string; env?: object[] }[] };
}

/** What a pod has besides what the engine reads. */
export interface FakePod extends Pod {
  behaviour: Behaviour;
  template: string;
}

/** Moves all Deployments, Jobs and pods one step on. @param drainMs how long a pod takes to end */
export function reconcile(objects: Map<string, StoredObject>, behave: Behave, drainMs: number): void {
  const all = [...objects.values()];
  const pods = all.filter((one): one is FakePod => one.kind === 'Pod');
  for (const { metadata } of pods)
    if (metadata.deletionTimestamp && Date.parse(metadata.deletionTimestamp) <= Date.now() - drainMs)
      objects.delete(`Pod ${metadata.name}`);
  const alive = pods.filter(({ metadata }) => !metadata.deletionTimestamp);
  for (const pod of alive) {
    const owner = all.find(({ metadata }) => metadata.uid === pod.metadata.ownerReferences![0]!.uid);
    if (!owner) drain(pod);
    else pod.status = createStatus(pod.behaviour, owner.kind === 'Job');
  }
  const listOwn = ({ metadata }: StoredObject) =>
    alive.filter(
      (pod) => !pod.metadata.deletionTimestamp && pod.metadata.ownerReferences![0]!.uid === metadata.uid,
    );
  for (const one of all) {
    const own = listOwn(one);
    const create = (template: Template) => {
      const pod = createPod(one, template, behave);
      objects.set(`Pod ${pod.metadata.name}`, pod);
    };
    if (one.kind === 'Deployment') reconcileDeployment(one as Deployment, own, create);
    if (one.kind === 'Job') reconcileJob(one as Job, own, create);
  }
}

const drain = (pod: Pod) => (pod.metadata.deletionTimestamp = new Date().toISOString());
const isReady = ({ status }: Pod) =>
  status?.conditions?.some(({ status: value }) => value === 'True') ?? false;

function reconcileDeployment(
  deployment: Deployment,
  own: FakePod[],
  create: (template: Template) => void,
): void {
  const template = deployment.spec.template as Template;
  const wanted = deployment.spec.replicas ?? 1;
  const text = JSON.stringify(template);
  const updated = own.filter((pod) => pod.template === text);
  for (let count = updated.length; count < wanted; count += 1) create(template);
  for (const pod of updated.slice(wanted)) drain(pod);
  const isStrong = updated.filter(isReady).length >= wanted;
  const old = own.filter((pod) => pod.template !== text);
  if (isStrong) old.forEach(drain);
  const ready = [...updated, ...(isStrong ? [] : old)].filter(isReady);
  deployment.status = {
    ...{ observedGeneration: deployment.metadata.generation, updatedReplicas: updated.length },
    ...{ replicas: updated.length + (isStrong ? 0 : old.length), availableReplicas: ready.length },
  };
}

function reconcileJob(job: Job, [pod]: FakePod[], create: (template: Template) => void): void {
  const { template, backoffLimit } = job.spec as { template: Template; backoffLimit: number };
  if (!pod) return job.status?.conditions ? undefined : create(template);
  const ended = pod.status?.containerStatuses?.[0]?.state?.terminated;
  if (!ended) return;
  // Further attempts are not simulated.
  const type = ended.exitCode === 0 ? 'Complete' : backoffLimit === 0 ? 'Failed' : undefined;
  if (type) job.status = { conditions: [{ type, status: 'True', reason: 'BackoffLimitExceeded' }] };
}

function createStatus({ exitCode, waiting }: Behaviour, isJob: boolean): Pod['status'] {
  const toStatuses = (state: object, restartCount = 0) => [{ restartCount, state }];
  if (waiting) return { containerStatuses: toStatuses({ waiting: { reason: waiting } }) };
  if (isJob) return { containerStatuses: toStatuses({ terminated: { exitCode: exitCode ?? 0 } }) };
  if (exitCode === undefined)
    return {
      conditions: [{ type: 'Ready', status: 'True' }],
      containerStatuses: toStatuses({ running: {} }),
    };
  const lastState = { terminated: { exitCode } };
  return {
    containerStatuses: [{ restartCount: 1, state: { waiting: { reason: 'CrashLoopBackOff' } }, lastState }],
  };
}

function createPod(owner: KubernetesObject & StoredObject, template: Template, behave: Behave): FakePod {
  const [container] = template.spec.containers as [Template['spec']['containers'][number]];
  const uid = randomUUID();
  const job: Record<string, string> = owner.kind === 'Job' ? { 'job-name': owner.metadata.name } : {};
  return {
    ...{ apiVersion: 'v1', kind: 'Pod', spec: template.spec, template: JSON.stringify(template) },
    metadata: {
      ...{ name: `${owner.metadata.name}-${uid.slice(0, 5)}`, uid, resourceVersion: '1' },
      labels: { ...template.metadata.labels, ...job },
      ownerReferences: [{ uid: owner.metadata.uid }],
    },
    behaviour: behave(container),
  };
}
