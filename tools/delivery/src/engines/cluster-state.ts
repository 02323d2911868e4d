import { labelKeys } from '../kubernetes/objects.ts';
import type { StoredObject } from './cluster.ts';

interface Condition {
  type: string;
  status: string;
  reason?: string;
  message?: string;
}

export interface Deployment extends StoredObject {
  spec: {
    replicas?: number;
    template: { metadata: { labels?: Record<string, string> }; spec: { containers: { image: string }[] } };
  };
  status?: {
    observedGeneration?: number;
    replicas?: number;
    updatedReplicas?: number;
    availableReplicas?: number;
    conditions?: Condition[];
  };
}

export interface Job extends StoredObject {
  status?: { conditions?: Condition[] };
}

export interface Pod extends StoredObject {
  metadata: StoredObject['metadata'] & { ownerReferences?: { uid: string }[] };
  spec: { containers: { image: string }[] };
  status?: {
    phase?: string;
    conditions?: Condition[];
    containerStatuses?: {
      restartCount: number;
      state?: { waiting?: { reason?: string; message?: string }; terminated?: { exitCode: number } };
      lastState?: { terminated?: { exitCode: number } };
    }[];
  };
}

export const isOwnedBy = ({ metadata }: Pod, uid: string): boolean =>
  metadata.ownerReferences?.some((owner) => owner.uid === uid) ?? false;

export const isReady = ({ status }: Pod): boolean =>
  status?.conditions?.some(({ type, status: value }) => type === 'Ready' && value === 'True') ?? false;

/** The version of a pod or Deployment. Those that this tool has not deployed have the one of their image. */
export function toVersion({
  metadata,
  spec,
}: {
  metadata: { labels?: Record<string, string> };
  spec: { containers: { image: string }[] };
}): string {
  const image = spec.containers[0]?.image ?? '';
  return metadata.labels?.[labelKeys.version] ?? /:([^:/@]+)(@.*)?$/.exec(image)?.[1] ?? '';
}

/** Reasons to wait from which a container does not recover by itself. */
const hopeless = [
  ...['ImagePullBackOff', 'InvalidImageName', 'CreateContainerConfigError', 'CreateContainerError'],
  'RunContainerError',
];

/** Why a pod will not become ready; undefined if it may. */
export function findPodProblem({ status }: Pod): string | undefined {
  for (const { restartCount, state, lastState } of status?.containerStatuses ?? []) {
    const ended = state?.terminated ?? lastState?.terminated;
    if (ended && (restartCount > 0 || ended.exitCode !== 0))
      return `its process ended (code ${ended.exitCode})`;
    const { reason, message } = state?.waiting ?? {};
    if (reason && hopeless.includes(reason)) return [reason, message].filter(Boolean).join(': ');
  }
  return undefined;
}

/** Whether the cluster has seen the last change of a Deployment. */
const isObserved = ({ metadata, status }: Deployment): boolean =>
  (status?.observedGeneration ?? 0) >= (metadata.generation ?? 0);

/** Whether only processes of the last change run, and all of them are ready. */
export function isRolledOut(deployment: Deployment): boolean {
  const wanted = deployment.spec.replicas ?? 1;
  const { replicas = 0, updatedReplicas = 0, availableReplicas = 0 } = deployment.status ?? {};
  return (
    isObserved(deployment) && [replicas, updatedReplicas, availableReplicas].every((one) => one === wanted)
  );
}

/** Why the last change of a Deployment will not complete; undefined if it may. */
export function findDeploymentProblem(deployment: Deployment): string | undefined {
  if (!isObserved(deployment)) return undefined;
  const failed = deployment.status?.conditions?.find(
    ({ type, status }) =>
      (type === 'Progressing' && status === 'False') || (type === 'ReplicaFailure' && status === 'True'),
  );
  return failed && (failed.message ?? failed.reason ?? 'the Deployment makes no progress');
}
