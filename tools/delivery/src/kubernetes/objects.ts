/** An object of the Kubernetes API, as in a manifest. */
export interface KubernetesObject {
  apiVersion: string;
  kind: string;
  metadata: {
    name: string;
    namespace?: string;
    labels?: Record<string, string>;
    annotations?: Record<string, string>;
  };
  [field: string]: unknown;
}

/** The recommended labels: https://kubernetes.io/docs/concepts/overview/working-with-objects/common-labels/ */
export const labelKeys = {
  name: 'app.kubernetes.io/name',
  component: 'app.kubernetes.io/component',
  partOf: 'app.kubernetes.io/part-of',
  version: 'app.kubernetes.io/version',
  owner: 'jogakbo/owner',
  /** On a Deployment that runs a new version beside the current one, and on its pods. */
  candidate: 'jogakbo/candidate',
  /** On pods of outside services: they may call services with a port of their own, and the gateway may call them. */
  outsideService: 'jogakbo/outside-service',
} as const;

/** What the pods of a service do; `step` for the deploy step of the broker. */
export type Component = 'service' | 'migration' | 'step';

/** The labels by which pods are selected. They never change: a Deployment cannot change its selector. */
export const selectPods = (name: string, component?: Component): Record<string, string> => ({
  [labelKeys.name]: name,
  ...(component && { [labelKeys.component]: component }),
});

/** The order in which Argo CD applies objects. It waits until those of a wave are healthy or complete. */
export const waves = { backing: -1, steps: 1, services: 2 } as const;

const waveAnnotation = 'argocd.argoproj.io/sync-wave';
export const setWave = (wave: keyof typeof waves): Record<string, string> => ({
  [waveAnnotation]: String(waves[wave]),
});

/** A Job cannot change: Argo CD deletes the one of the last deployment before it creates the next. */
export const jobAnnotations: Record<string, string> = {
  'argocd.argoproj.io/hook': 'Sync',
  'argocd.argoproj.io/hook-delete-policy': 'BeforeHookCreation',
  ...setWave('steps'),
};

/** The port inside of each container, and its name: deploy/Dockerfile. */
export const httpPort = { name: 'http', containerPort: 3000 } as const;
/** The ports of the servers, with and without TLS. */
export const serverPorts = { amqp: [5671, 5672], management: [15_671, 15_672], postgres: [5432] } as const;

/** The beginning of the names of a service's variables, and the name of its database. */
export const toIdentifier = (service: string): string => service.replaceAll('-', '_');

/** Names of objects that several files refer to. */
export const names = {
  /** ConfigMap with the settings of every service. */
  commonSettings: 'common-settings',
  /** ConfigMap with the facts of the workspace, of which a service gets those that it declares. */
  storeSettings: 'store-settings',
  /** The broker: its Service, pods and Secret. */
  broker: 'rabbitmq',
  /** The database server: its pods; its Service is `postgres` or `postgres-rw`. */
  database: 'postgres',
  /** The Job that declares the logins and the topology of the broker, and its Secret and ConfigMap. */
  logins: 'broker-logins',
  /** The Job that migrates the database of a service. */
  migration: (service: string): string => `${service}-migrate`,
} as const;
