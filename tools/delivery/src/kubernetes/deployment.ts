import type { IDeployment } from 'kubernetes-models/apps/v1/Deployment';
import type { IEnvVar } from 'kubernetes-models/v1/EnvVar';
import {
  getMemoryFlags,
  isCalledOverHttp,
  listGeneratedSecrets,
  type ServiceDeclaration,
  type WorkspaceDeclaration,
} from './declarations.ts';
import { httpPort, labelKeys, names, selectPods, setWave, type KubernetesObject } from './objects.ts';
import { buildPodSpec, readFromFile } from './pod.ts';

/** Seconds in which `serve()` ends the process after SIGTERM: it drains, and exits in any case. */
const drainSeconds = 10;
/** Seconds until the proxies of all nodes know that a pod ends, and open no new connections to it. */
const endpointSeconds = 5;
/** Seconds between the end of the drain and SIGKILL. */
const spareSeconds = 5;

/** Megabytes of a plain service after load, if it declares no budget. */
const defaultMemory = 110;
/** Megabytes outside of Node's heap: code, native libraries, buffers of connections. */
const outsideHeap = 128;

/** The image of a service. `docker build` gives it this name; an overlay replaces it by that of a registry. */
export const getImage = ({ facts }: WorkspaceDeclaration, name: string, version: string): string =>
  `${facts.name}/${name}:${version}`;

export const listLabels = (
  { name, manifest }: ServiceDeclaration,
  { facts }: WorkspaceDeclaration,
): Record<string, string> => ({
  ...selectPods(name, 'service'),
  [labelKeys.partOf]: facts.name,
  [labelKeys.owner]: manifest.owner,
});

/**
 * The request is the memory budget. The limit is above the heap's limit: a service whose heap is full then fails with
 * a stack trace instead of being killed. There is no CPU limit, which would stop the event loop for parts of a second.
 */
function buildResources({ manifest, bus }: ServiceDeclaration) {
  const { young, old } = manifest.heap;
  const limit = Math.ceil((old + 3 * young + outsideHeap) / 16) * 16;
  return {
    requests: { cpu: bus.isGateway ? '250m' : '50m', memory: `${manifest.memory ?? defaultMemory}M` },
    limits: { memory: `${limit}M` },
  };
}

/** Liveness asks only the process: a restart repairs no broker and no database. */
function buildProbes() {
  const get = (path: string) => ({ httpGet: { path, port: httpPort.name } });
  return {
    startupProbe: { ...get('/health/live'), periodSeconds: 2, timeoutSeconds: 2, failureThreshold: 45 },
    livenessProbe: { ...get('/health/live'), periodSeconds: 10, timeoutSeconds: 5, failureThreshold: 3 },
    readinessProbe: { ...get('/health/ready'), periodSeconds: 5, timeoutSeconds: 4, failureThreshold: 2 },
  };
}

function buildEnvironment({ manifest }: ServiceDeclaration): IEnvVar[] {
  const facts = manifest.settings.map((key) => ({
    name: key,
    valueFrom: { configMapKeyRef: { name: names.storeSettings, key } },
  }));
  return [
    ...facts,
    ...['RABBITMQ_URL', ...(manifest.database ? ['DATABASE_URL'] : []), 'CONFIG_PASSWORD', 'SERVICE_KEY'].map(
      (setting) => readFromFile(setting),
    ),
    ...listGeneratedSecrets(manifest).map((setting) => readFromFile(setting)),
  ];
}

/** Evenly over zones and nodes, as far as possible. Pods of another version do not count. */
const spreadPods = (name: string) =>
  ['topology.kubernetes.io/zone', 'kubernetes.io/hostname'].map((topologyKey) => ({
    maxSkew: 1,
    topologyKey,
    whenUnsatisfiable: 'ScheduleAnyway' as const,
    labelSelector: { matchLabels: selectPods(name, 'service') },
    matchLabelKeys: ['pod-template-hash'],
  }));

/** Without `replicas`: an autoscaler sets them. */
export function buildDeployment(service: ServiceDeclaration, all: WorkspaceDeclaration): KubernetesObject {
  const { name, version, manifest } = service;
  const hasClients = isCalledOverHttp(service, all);
  const container = {
    name,
    image: getImage(all, name, version),
    command: ['node', '--import=./dist/source-maps.js', ...getMemoryFlags(manifest), 'dist/main.js'],
    ports: [httpPort],
    envFrom: [
      { configMapRef: { name: names.commonSettings } },
      // The settings that only this service has in an environment.
      { configMapRef: { name, optional: true } },
    ],
    env: buildEnvironment(service),
    resources: buildResources(service),
    ...buildProbes(),
    ...(hasClients && { lifecycle: { preStop: { sleep: { seconds: endpointSeconds } } } }),
  };
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name, labels: listLabels(service, all), annotations: setWave('services') },
    spec: {
      revisionHistoryLimit: 5,
      progressDeadlineSeconds: 180,
      // The old version keeps its strength until the new one is ready.
      strategy: { type: 'RollingUpdate', rollingUpdate: { maxUnavailable: 0, maxSurge: '25%' } },
      selector: { matchLabels: selectPods(name, 'service') },
      template: {
        metadata: { labels: listLabels(service, all) },
        spec: {
          ...buildPodSpec(container, name),
          serviceAccountName: name,
          terminationGracePeriodSeconds: (hasClients ? endpointSeconds : 0) + drainSeconds + spareSeconds,
          topologySpreadConstraints: spreadPods(name),
        },
      },
    },
  } satisfies IDeployment & KubernetesObject;
}
