import type { IPodDisruptionBudget } from 'kubernetes-models/policy/v1/PodDisruptionBudget';
import type { IService } from 'kubernetes-models/v1/Service';
import type { IServiceAccount } from 'kubernetes-models/v1/ServiceAccount';
import { buildAutoscaler } from './autoscaling.ts';
import { buildDeployment, listLabels } from './deployment.ts';
import type { ServiceDeclaration, WorkspaceDeclaration } from './declarations.ts';
import { buildMigration } from './jobs.ts';
import { buildServicePolicies } from './network-policies.ts';
import { httpPort, selectPods, type KubernetesObject } from './objects.ts';

/** The port of every Service, for `http://<service>/`. */
export const servicePort = 80;

/** All objects of one service, for every environment. They differ only by what the service declares. */
export function buildServiceObjects(
  service: ServiceDeclaration,
  all: WorkspaceDeclaration,
): KubernetesObject[] {
  return [
    buildServiceAccount(service, all),
    ...(service.manifest.database ? [buildMigration(service, all)] : []),
    buildDeployment(service, all),
    buildService(service, all),
    buildDisruptionBudget(service, all),
    ...buildAutoscaler(service, all),
    ...buildServicePolicies(service, all),
  ];
}

/** Has no rights: no service uses the Kubernetes API. */
const buildServiceAccount = (service: ServiceDeclaration, all: WorkspaceDeclaration): KubernetesObject =>
  ({
    apiVersion: 'v1',
    kind: 'ServiceAccount',
    metadata: { name: service.name, labels: listLabels(service, all) },
    automountServiceAccountToken: false,
  }) satisfies IServiceAccount & KubernetesObject;

const buildService = (service: ServiceDeclaration, all: WorkspaceDeclaration): KubernetesObject =>
  ({
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: service.name, labels: listLabels(service, all) },
    spec: {
      // All versions: the traffic between them is split on the bus and by the gateway.
      selector: selectPods(service.name, 'service'),
      ports: [{ name: httpPort.name, port: servicePort, targetPort: httpPort.name, appProtocol: 'http' }],
    },
  }) satisfies IService & KubernetesObject;

/** At most one instance at a time ends when a node is emptied. `minAvailable` would block that for a single instance. */
const buildDisruptionBudget = (service: ServiceDeclaration, all: WorkspaceDeclaration): KubernetesObject =>
  ({
    apiVersion: 'policy/v1',
    kind: 'PodDisruptionBudget',
    metadata: { name: service.name, labels: listLabels(service, all) },
    spec: {
      maxUnavailable: 1,
      unhealthyPodEvictionPolicy: 'AlwaysAllow',
      selector: { matchLabels: selectPods(service.name, 'service') },
    },
  }) satisfies IPodDisruptionBudget & KubernetesObject;
