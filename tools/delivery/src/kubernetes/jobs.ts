import type { IJob } from 'kubernetes-models/batch/v1/Job';
import type { IContainer } from 'kubernetes-models/v1/Container';
import { getImage } from './deployment.ts';
import type { ServiceDeclaration, WorkspaceDeclaration } from './declarations.ts';
import {
  jobAnnotations,
  labelKeys,
  names,
  selectPods,
  type Component,
  type KubernetesObject,
} from './objects.ts';
import { buildPodSpec, readFromFile } from './pod.ts';

/** Seconds after which a step counts as failed. */
const deadlineSeconds = 900;

interface Step {
  name: string;
  /** The label `app.kubernetes.io/name` of its pod. */
  of: string;
  component: Component;
  container: IContainer;
  secret: string;
  partOf: string;
}

/** A step that must be complete before the services of the same deployment start. */
const buildJob = ({ name, of, component, container, secret, partOf }: Step): KubernetesObject => {
  const labels = { ...selectPods(of, component), [labelKeys.partOf]: partOf };
  return {
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: { name, labels, annotations: jobAnnotations },
    spec: {
      backoffLimit: 5,
      activeDeadlineSeconds: deadlineSeconds,
      template: {
        metadata: { labels },
        spec: { ...buildPodSpec(container, secret), restartPolicy: 'Never' },
      },
    },
  } satisfies IJob & KubernetesObject;
};

/**
 * Migrates the database of a service. Until it is complete, new instances of the service are not ready
 * (`/health/ready`), and those of the version before keep working.
 */
export const buildMigration = (
  { name, version }: ServiceDeclaration,
  all: WorkspaceDeclaration,
): KubernetesObject =>
  buildJob({
    name: names.migration(name),
    of: name,
    component: 'migration',
    secret: name,
    partOf: all.facts.name,
    container: {
      name: 'migrate',
      image: getImage(all, name, version),
      command: ['node', 'dist/main.js', 'migrate'],
      envFrom: [{ configMapRef: { name: names.commonSettings } }],
      env: [readFromFile('DATABASE_URL')],
      resources: { requests: { cpu: '50m', memory: '110M' }, limits: { memory: '272M' } },
    },
  });

/**
 * The deploy step of the broker: declares its topology and a login for each service, with only the permissions that its
 * contracts imply. The version is that of the workspace, because it depends on all services.
 */
export const buildLoginsStep = (version: string, all: WorkspaceDeclaration): KubernetesObject =>
  buildJob({
    name: names.logins,
    of: names.logins,
    component: 'step',
    secret: names.logins,
    partOf: all.facts.name,
    container: {
      name: 'logins',
      image: getImage(all, 'logins', version),
      envFrom: [{ configMapRef: { name: names.logins } }],
      env: ['RABBITMQ_URL', 'BROKER_PASSWORDS', 'SERVICE_KEYS'].map((setting) => readFromFile(setting)),
      resources: { requests: { cpu: '50m', memory: '150M' }, limits: { memory: '400M' } },
    },
  });
