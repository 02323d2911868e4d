import type { IContainer } from 'kubernetes-models/v1/Container';
import { labelKeys, names, type KubernetesObject } from './objects.ts';

/** One version of a service, as it is deployed. */
export interface DeployedVersion {
  service: string;
  /** `<version of its package.json>-<first 10 hexadecimal digits of its content hash>`. */
  version: string;
  /** Reference of the image, with a tag or a digest. */
  image: string;
}

/** The objects of one version, in the order in which they are applied. */
export interface VersionObjects {
  /**
   * Migrates the database, with its policies. The Job comes last, and must be complete before the others are applied.
   * Empty for a service without a database.
   */
  migration: KubernetesObject[];
  /**
   * What all versions of the service share: Service, policies, ConfigMap, ServiceAccount, budget for disruptions, and the
   * autoscaler, which keeps the current version at strength.
   */
  shared: KubernetesObject[];
  /** Runs this version beside the current one. */
  candidate: KubernetesObject;
  /** Runs this version as the current one: the Deployment with the name of the service. */
  current: KubernetesObject;
}

/** The most characters of a label, and so of the name of a Job. */
const maxNameLength = 63;

/** The name of an object of one version: `tea` of 0.1.0-4f2a becomes `tea-0-1-0-4f2a`. A long name is cut before the version. */
export function toVersionedName(name: string, version: string): string {
  const suffix = `-${version.toLowerCase().replaceAll(/[^a-z0-9]+/g, '-')}`;
  return `${name.slice(0, maxNameLength - suffix.length)}${suffix}`;
}

/**
 * Derives the objects of one version of a service from those of an environment: a rendered overlay, or the base.
 * The candidate and the Job have names with the version, so that they run beside the current version. Pods have the label
 * `app.kubernetes.io/version` and SERVICE_VERSION. All versions share the Service: the bus and the gateway split the
 * traffic. Pure.
 * @throws Error if `objects` has no Deployment of the service
 */
export function buildVersion(
  objects: readonly KubernetesObject[],
  { service, version, image }: DeployedVersion,
): VersionObjects {
  const own = objects.filter(({ metadata }) => metadata.labels?.[labelKeys.name] === service);
  const find = (kind: string, name = service) =>
    own.find((one) => one.kind === kind && one.metadata.name === name);
  const deployment = find('Deployment');
  if (!deployment) throw new Error(`The objects have no Deployment of ${service}: add it to the overlay.`);
  const migration = find('Job', names.migration(service));
  const findPolicies = (name: string) =>
    objects.filter(({ kind, metadata }) => policyKinds.includes(kind) && metadata.name === name);
  const ofMigration = migration ? findPolicies(names.migration(service)) : [];
  const shared = [...own, ...findPolicies(service)].filter(
    (one) => one !== deployment && one !== migration && !ofMigration.includes(one),
  );
  const current = setVersion(deployment, version, image);
  return {
    migration: migration ? [...ofMigration, setName(setVersion(migration, version, image), version)] : [],
    shared: [...new Set(shared)],
    candidate: separate(setName(current, version), version),
    current,
  };
}

/** Objects without labels: they are found by their names. */
const policyKinds = ['NetworkPolicy', 'ConfigMap'];

interface Workload {
  selector?: { matchLabels: Record<string, string> };
  template: {
    metadata: { labels: Record<string, string> };
    spec: { containers: IContainer[] };
  };
}

/** A copy of a Deployment or a Job for one version. */
function setVersion(object: KubernetesObject, version: string, image: string): KubernetesObject {
  const copy = structuredClone(object);
  const label = { [labelKeys.version]: version };
  copy.metadata.labels = { ...copy.metadata.labels, ...label };
  const { template } = copy.spec as Workload;
  Object.assign(template.metadata.labels, label);
  const [container] = template.spec.containers as [IContainer];
  const others = (container.env ?? []).filter(({ name }) => name !== 'SERVICE_VERSION');
  container.image = image;
  container.env = [...others, { name: 'SERVICE_VERSION', value: version }];
  return copy;
}

function setName(object: KubernetesObject, version: string): KubernetesObject {
  const copy = structuredClone(object);
  copy.metadata.name = toVersionedName(object.metadata.name, version);
  return copy;
}

/** Gives a Deployment pods that it does not share with the one of the current version, which may have the same version. */
function separate(deployment: KubernetesObject, version: string): KubernetesObject {
  const labels = { [labelKeys.version]: version, [labelKeys.candidate]: 'true' };
  const { selector, template } = deployment.spec as Workload;
  Object.assign(selector!.matchLabels, labels);
  Object.assign(template.metadata.labels, labels);
  Object.assign(deployment.metadata.labels!, labels);
  return deployment;
}
