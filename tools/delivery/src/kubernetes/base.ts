import type { IServiceMonitor } from '@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1/ServiceMonitor';
import type { IConfigMap } from 'kubernetes-models/v1/ConfigMap';
import type { INamespace } from 'kubernetes-models/v1/Namespace';
import { assertConsistent, type WorkspaceDeclaration } from './declarations.ts';
import { buildLoginsStep } from './jobs.ts';
import { buildCommonPolicies } from './network-policies.ts';
import { httpPort, labelKeys, names, type KubernetesObject } from './objects.ts';
import { buildServiceObjects } from './service-objects.ts';

/** The objects of the base, by file: one for each service, and one for what they share. */
export function buildBase(all: WorkspaceDeclaration, version: string): Record<string, KubernetesObject[]> {
  assertConsistent(all);
  return {
    'workspace.yaml': [
      buildNamespace(all),
      buildCommonSettings(all),
      buildStoreSettings(all),
      ...buildCommonPolicies(all),
      buildConfigMap(names.logins, {
        RABBITMQ_MANAGEMENT_URL: 'http://rabbitmq:15672',
        JOGAKBO_HOME: '/tmp/jogakbo',
      }),
      buildLoginsStep(version, all),
      buildServiceMonitor(all),
    ],
    ...Object.fromEntries(
      all.services.map((service) => [`${service.name}.yaml`, buildServiceObjects(service, all)]),
    ),
  };
}

export const buildConfigMap = (name: string, data: Record<string, string>): KubernetesObject =>
  ({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name }, data }) satisfies IConfigMap & KubernetesObject;

/** The API server rejects pods that do not keep the Pod Security Standard "restricted". */
const buildNamespace = ({ facts }: WorkspaceDeclaration): KubernetesObject =>
  ({
    apiVersion: 'v1',
    kind: 'Namespace',
    metadata: {
      name: facts.name,
      labels: Object.fromEntries(
        ['enforce', 'audit', 'warn'].map((mode) => [`pod-security.kubernetes.io/${mode}`, 'restricted']),
      ),
    },
  }) satisfies INamespace & KubernetesObject;

/** The settings of every service. */
const buildCommonSettings = ({ servers }: WorkspaceDeclaration): KubernetesObject =>
  buildConfigMap(names.commonSettings, {
    HOST: '0.0.0.0',
    PORT: String(httpPort.containerPort),
    // Services accept registrations only from this login.
    BROKER_OPERATOR: servers.administrator,
    CONFIG_CACHE: '/tmp/config-cache',
    LOCAL_MODE: 'false',
    PLAINTEXT_NETWORK: 'refuse',
  });

/** The facts of the workspace. An overlay sets TOKEN_ISSUER, the public address of the store. */
const buildStoreSettings = ({ facts, services }: WorkspaceDeclaration): KubernetesObject =>
  buildConfigMap(names.storeSettings, {
    TOKEN_ISSUER: 'http://localhost:3000',
    TITLE: facts.title ?? facts.name,
    LANGUAGES: facts.languages.join(),
    ROLES: facts.roles.join(),
    READY_ROUTES: facts.readyRoutes.join(),
    DENIED_UPSTREAMS: [
      names.broker,
      names.database,
      `${names.database}-rw`,
      ...services.map(({ name }) => name),
    ].join(),
  });

/** Prometheus reads /metrics of every instance. */
const buildServiceMonitor = ({ facts }: WorkspaceDeclaration): KubernetesObject =>
  ({
    apiVersion: 'monitoring.coreos.com/v1',
    kind: 'ServiceMonitor',
    metadata: { name: facts.name, labels: { [labelKeys.partOf]: facts.name } },
    spec: {
      selector: { matchLabels: { [labelKeys.partOf]: facts.name } },
      jobLabel: labelKeys.name,
      endpoints: [{ port: httpPort.name, path: '/metrics', interval: '15s' }],
    },
  }) satisfies IServiceMonitor & KubernetesObject;
