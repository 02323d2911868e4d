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
  /** What all versions of the service share: Service, policies, ConfigMap, ServiceAccount, budget for disruptions. */
  shared: KubernetesObject[];
  /** Migrates the database. Must be complete before `deployment` is applied. Undefined for a service without a database. */
  migration: KubernetesObject | undefined;
  /** Runs this version beside all others. */
  deployment: KubernetesObject;
  /** The autoscaler, for this version's Deployment. Applied when the version is promoted: it has one target. */
  autoscaler: KubernetesObject | undefined;
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
 * The Deployment and the Job of a version have names of their own, so that versions run side by side. Pods have the label
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
  const autoscaler = find('ScaledObject') ?? find('HorizontalPodAutoscaler');
  const policies = objects.filter(
    ({ kind, metadata: { name } }) =>
      ['NetworkPolicy', 'ConfigMap'].includes(kind) && [service, names.migration(service)].includes(name),
  );
  const shared = own.filter((one) => one !== deployment && one !== migration && one !== autoscaler);
  return {
    shared: [...new Set([...shared, ...policies])],
    migration: migration && setVersion(migration, version, image),
    deployment: setVersion(deployment, version, image),
    autoscaler: autoscaler && setTarget(autoscaler, toVersionedName(service, version)),
  };
}

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
  copy.metadata.name = toVersionedName(object.metadata.name, version);
  copy.metadata.labels = { ...copy.metadata.labels, ...label };
  const { selector, template } = copy.spec as Workload;
  if (selector) Object.assign(selector.matchLabels, label);
  Object.assign(template.metadata.labels, label);
  const [container] = template.spec.containers as [IContainer];
  const others = (container.env ?? []).filter(({ name }) => name !== 'SERVICE_VERSION');
  container.image = image;
  container.env = [...others, { name: 'SERVICE_VERSION', value: version }];
  return copy;
}

function setTarget(object: KubernetesObject, name: string): KubernetesObject {
  const copy = structuredClone(object);
  (copy.spec as { scaleTargetRef: { name: string } }).scaleTargetRef.name = name;
  return copy;
}
