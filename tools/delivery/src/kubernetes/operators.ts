import type { ICertificate } from '@kubernetes-models/cert-manager/cert-manager.io/v1/Certificate';
import type { IIssuer } from '@kubernetes-models/cert-manager/cert-manager.io/v1/Issuer';
import type { ICluster } from '@kubernetes-models/cloudnative-pg/postgresql.cnpg.io/v1/Cluster';
import type { IDatabase } from '@kubernetes-models/cloudnative-pg/postgresql.cnpg.io/v1/Database';
import { buildConfigMap } from './base.ts';
import {
  listChosenSettings,
  toNamespacedHost,
  type ServiceDeclaration,
  type WorkspaceDeclaration,
} from './declarations.ts';
import { buildExternalSecrets, operatorSecret, toRoleSecret } from './external-secrets.ts';
import { names, selectPods, setWave, toIdentifier, type KubernetesObject } from './objects.ts';
import { readFromFile } from './pod.ts';

/** Secret with the certificate of the broker, from cert-manager. */
export const brokerCertificate = 'rabbitmq-tls';
/** Secret with the certificate authority of the databases, from CloudNativePG. */
export const databaseAuthority = `${names.database}-ca`;

/** Connections of one service: `maxReplicas` in autoscaling.ts, with room for a rollout. */
const connectionLimit = 64;

/** Broker and databases that survive the loss of a node, with TLS and external secrets. */
export function buildOperators(all: WorkspaceDeclaration): Record<string, KubernetesObject[]> {
  return {
    'rabbitmq.yaml': [...buildCertificates(all), buildBroker()],
    'postgres.yaml': buildDatabases(all),
    'secrets.yaml': buildExternalSecrets(all),
    'settings.yaml': all.services.flatMap(buildChosenSettings),
  };
}

/** The settings that people choose are in the secret store, beside the secrets. */
function buildChosenSettings({ name, manifest }: ServiceDeclaration): KubernetesObject[] {
  const files = listChosenSettings(manifest).map((setting) => readFromFile(setting));
  if (files.length === 0) return [];
  return [buildConfigMap(name, Object.fromEntries(files.map((file) => [file.name, file.value])))];
}

/** A certificate authority of its own: only the services trust it. */
function buildCertificates(all: WorkspaceDeclaration): KubernetesObject[] {
  const annotations = setWave('backing');
  const authority = 'rabbitmq-ca';
  const buildIssuer = (name: string, spec: IIssuer['spec']) =>
    ({
      apiVersion: 'cert-manager.io/v1',
      kind: 'Issuer',
      metadata: { name, annotations },
      spec,
    }) satisfies IIssuer & KubernetesObject;
  const buildCertificate = (name: string, spec: ICertificate['spec']) =>
    ({
      apiVersion: 'cert-manager.io/v1',
      kind: 'Certificate',
      metadata: { name, annotations },
      spec,
    }) satisfies ICertificate & KubernetesObject;
  const privateKey = { algorithm: 'ECDSA' as const, size: 256, rotationPolicy: 'Always' as const };
  return [
    buildIssuer('self-signed', { selfSigned: {} }),
    buildCertificate(authority, {
      isCA: true,
      commonName: authority,
      secretName: authority,
      privateKey: { ...privateKey, rotationPolicy: 'Never' },
      duration: '87600h',
      issuerRef: { name: 'self-signed', kind: 'Issuer' },
    }),
    buildIssuer(names.broker, { ca: { secretName: authority } }),
    buildCertificate(names.broker, {
      secretName: brokerCertificate,
      dnsNames: [names.broker, toNamespacedHost(names.broker, all)],
      privateKey,
      issuerRef: { name: names.broker, kind: 'Issuer' },
    }),
  ];
}

/** Three nodes: quorum queues stay available while one of them is lost. */
const buildBroker = (): KubernetesObject => ({
  apiVersion: 'rabbitmq.com/v1beta1',
  kind: 'RabbitmqCluster',
  metadata: { name: names.broker, annotations: setWave('backing') },
  spec: {
    replicas: 3,
    secretBackend: { externalSecret: { name: operatorSecret } },
    tls: { secretName: brokerCertificate, disableNonTLSListeners: true },
    persistence: { storage: '20Gi' },
    resources: { requests: { cpu: '500m', memory: '2Gi' }, limits: { memory: '2Gi' } },
    rabbitmq: {
      additionalConfig:
        'cluster_partition_handling = pause_minority\nvm_memory_high_watermark.relative = 0.6\n',
    },
  },
});

function buildDatabases({ services }: WorkspaceDeclaration): KubernetesObject[] {
  const owners = services.filter(({ manifest }) => manifest.database).map(({ name }) => name);
  if (owners.length === 0) return [];
  const cluster = {
    apiVersion: 'postgresql.cnpg.io/v1',
    kind: 'Cluster',
    metadata: { name: names.database, annotations: setWave('backing') },
    spec: {
      instances: 3,
      // The label by which NetworkPolicies select the pods.
      inheritedMetadata: { labels: selectPods(names.database) },
      // A commit is on two nodes before it is confirmed.
      postgresql: {
        synchronous: { method: 'any', number: 1 },
        parameters: { max_connections: String(connectionLimit * owners.length + 50) },
        // A role connects to the database of its own name only, and with TLS.
        pg_hba: ['hostssl sameuser all all scram-sha-256', 'host all all all reject'],
      },
      storage: { size: '20Gi' },
      resources: { requests: { cpu: '500m', memory: '2Gi' }, limits: { memory: '4Gi' } },
      managed: {
        roles: owners.map((name) => ({
          name: toIdentifier(name),
          ensure: 'present',
          login: true,
          connectionLimit,
          passwordSecret: { name: toRoleSecret(name) },
        })),
      },
    },
  } satisfies ICluster & KubernetesObject;
  return [cluster, ...owners.map(buildDatabase)];
}

const buildDatabase = (service: string): KubernetesObject =>
  ({
    apiVersion: 'postgresql.cnpg.io/v1',
    kind: 'Database',
    metadata: { name: service, annotations: setWave('backing') },
    spec: {
      name: toIdentifier(service),
      owner: toIdentifier(service),
      cluster: { name: names.database },
      databaseReclaimPolicy: 'retain',
    },
  }) satisfies IDatabase & KubernetesObject;
