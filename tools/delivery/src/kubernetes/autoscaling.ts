import type { IScaledObject } from '@kubernetes-models/keda/keda.sh/v1alpha1/ScaledObject';
import type { ITriggerAuthentication } from '@kubernetes-models/keda/keda.sh/v1alpha1/TriggerAuthentication';
import type { IHorizontalPodAutoscaler } from 'kubernetes-models/autoscaling/v2/HorizontalPodAutoscaler';
import { listLabels } from './deployment.ts';
import { listWorkQueues, type ServiceDeclaration, type WorkspaceDeclaration } from './declarations.ts';
import { setWave, type KubernetesObject } from './objects.ts';

/** One instance may end at any time without an outage. */
const minReplicas = 2;
/**
 * The broker allows a login 20 connections, and an instance needs two (`loginLimits` in tools/cli). Six instances, two more
 * during a rollout, and KEDA's own connections stay below. They use 48 connections to the database: six in each pool,
 * two for the outbox and the projections.
 */
export const maxReplicas = 6;
/** Waiting messages per instance. */
const queueLength = 100;
/** Percent of the requested CPU time. */
const cpuUtilization = 200;

/** The autoscaler: by CPU time for the gateway, by waiting messages (and CPU time) for all others. */
export const buildAutoscaler = (
  service: ServiceDeclaration,
  all: WorkspaceDeclaration,
): KubernetesObject[] =>
  service.bus.isGateway || listWorkQueues(service).length === 0
    ? [buildPodAutoscaler(service, all)]
    : [buildScaledObject(service, all), buildTriggerAuthentication(service, all)];

const target = (name: string) => ({ apiVersion: 'apps/v1', kind: 'Deployment', name });

const buildPodAutoscaler = (service: ServiceDeclaration, all: WorkspaceDeclaration): KubernetesObject =>
  ({
    apiVersion: 'autoscaling/v2',
    kind: 'HorizontalPodAutoscaler',
    metadata: { name: service.name, labels: listLabels(service, all), annotations: setWave('services') },
    spec: {
      scaleTargetRef: target(service.name),
      minReplicas,
      maxReplicas,
      metrics: [
        {
          type: 'Resource',
          resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: cpuUtilization } },
        },
      ],
      behavior: { scaleDown: { stabilizationWindowSeconds: 300 } },
    },
  }) satisfies IHorizontalPodAutoscaler & KubernetesObject;

function buildScaledObject(service: ServiceDeclaration, all: WorkspaceDeclaration): KubernetesObject {
  const { name, manifest } = service;
  const waiting = listWorkQueues(service).map((queueName) => ({
    type: 'rabbitmq',
    metadata: { protocol: 'amqp', queueName, mode: 'QueueLength', value: String(queueLength) },
    authenticationRef: { name },
  }));
  const busy = {
    type: 'cpu',
    metricType: 'Utilization' as const,
    metadata: { value: String(cpuUtilization) },
  };
  return {
    apiVersion: 'keda.sh/v1alpha1',
    kind: 'ScaledObject',
    metadata: { name, labels: listLabels(service, all), annotations: setWave('services') },
    spec: {
      scaleTargetRef: target(name),
      minReplicaCount: manifest.scaleToZero ? 0 : minReplicas,
      maxReplicaCount: maxReplicas,
      pollingInterval: 10,
      cooldownPeriod: 300,
      // Without instances there is no CPU time to measure.
      triggers: manifest.scaleToZero ? waiting : [...waiting, busy],
    },
  } satisfies IScaledObject & KubernetesObject;
}

/** KEDA uses the login of the service itself, which reaches no other queue. */
const buildTriggerAuthentication = (
  service: ServiceDeclaration,
  all: WorkspaceDeclaration,
): KubernetesObject =>
  ({
    apiVersion: 'keda.sh/v1alpha1',
    kind: 'TriggerAuthentication',
    metadata: { name: service.name, labels: listLabels(service, all), annotations: setWave('services') },
    spec: {
      secretTargetRef: [
        { parameter: 'host', name: service.name, key: 'queue_url' },
        { parameter: 'tls', name: service.name, key: 'queue_tls' },
      ],
    },
  }) satisfies ITriggerAuthentication & KubernetesObject;
