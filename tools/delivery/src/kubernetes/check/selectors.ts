import type { KubernetesObject } from '../objects.ts';
import {
  formatLabels,
  hasLabels,
  listContainers,
  matches,
  toTitle,
  type Labels,
  type Pods,
  type Selector,
} from './pods.ts';

/** Finds selectors that select nothing, and names of ports and targets that do not exist. */
export function checkSelectors(objects: readonly KubernetesObject[], pods: readonly Pods[]): string[] {
  return [
    ...pods.flatMap(checkOwnSelector),
    ...pods.flatMap(checkProbes),
    ...objects.flatMap((object) => checkObject(object, objects, pods)),
  ];
}

const checkOwnSelector = ({ owner, selector, labels }: Pods): string[] =>
  selector && !hasLabels(labels, selector)
    ? [
        `${owner}: its selector ${formatLabels(selector)} does not match the labels of its pods, ${formatLabels(labels)}`,
      ]
    : [];

const listPortNames = (pods: Pods): string[] =>
  listContainers(pods).flatMap(({ ports = [] }) => ports.flatMap(({ name }) => name ?? []));

/** A named port of a probe must be one of the container. */
const checkProbes = ({ owner, spec }: Pods): string[] =>
  (spec?.containers ?? []).flatMap((container) => {
    const names = (container.ports ?? []).map(({ name }) => name);
    return (['startupProbe', 'livenessProbe', 'readinessProbe'] as const).flatMap((probe) => {
      const port = container[probe]?.httpGet?.port ?? container[probe]?.tcpSocket?.port;
      return typeof port === 'string' && !names.includes(port)
        ? [`${owner}: ${probe} of ${container.name} uses the port ${port}, which the container does not have`]
        : [];
    });
  });

function checkObject(
  object: KubernetesObject,
  objects: readonly KubernetesObject[],
  pods: readonly Pods[],
): string[] {
  const title = toTitle(object);
  switch (object.kind) {
    case 'Service':
      return checkService(object, pods);
    case 'PodDisruptionBudget':
      return checkSelected(title, (object.spec as { selector: Selector }).selector, pods);
    case 'NetworkPolicy':
      return checkSelected(title, (object.spec as { podSelector: Selector }).podSelector, pods);
    case 'ServiceMonitor':
      return checkServiceMonitor(object, objects);
    case 'HorizontalPodAutoscaler':
    case 'ScaledObject':
      return checkAutoscaler(object, objects);
    default:
      return [];
  }
}

const checkSelected = (title: string, selector: Selector, pods: readonly Pods[]): string[] =>
  pods.some(({ labels }) => matches(labels, selector))
    ? []
    : [`${title}: its selector ${formatLabels(selector.matchLabels ?? {})} matches no pod`];

interface ServiceSpec {
  selector?: Labels;
  ports?: { name?: string; port: number; targetPort?: number | string }[];
}

function checkService(object: KubernetesObject, pods: readonly Pods[]): string[] {
  const { selector, ports = [] } = object.spec as ServiceSpec;
  if (!selector) return [];
  const selected = pods.filter(({ labels }) => hasLabels(labels, selector));
  if (selected.length === 0)
    return [`${toTitle(object)}: its selector ${formatLabels(selector)} matches no pod`];
  return ports.flatMap(({ targetPort }) =>
    selected
      .filter((one) => typeof targetPort === 'string' && one.spec && !listPortNames(one).includes(targetPort))
      .map(({ owner }) => `${toTitle(object)}: targetPort ${targetPort} is no port of ${owner}`),
  );
}

function checkServiceMonitor(object: KubernetesObject, objects: readonly KubernetesObject[]): string[] {
  const { selector, endpoints } = object.spec as { selector: Selector; endpoints: { port?: string }[] };
  const services = objects.filter(
    ({ kind, metadata }) => kind === 'Service' && matches(metadata.labels ?? {}, selector),
  );
  if (services.length === 0) return [`${toTitle(object)}: its selector matches no Service`];
  return services.flatMap((service) => {
    const names = ((service.spec as ServiceSpec).ports ?? []).map(({ name }) => name);
    return endpoints
      .filter(({ port }) => port && !names.includes(port))
      .map(({ port }) => `${toTitle(object)}: ${toTitle(service)} has no port named ${port}`);
  });
}

interface AutoscalerSpec {
  scaleTargetRef: { kind?: string; name: string };
  triggers?: { authenticationRef?: { name: string } }[];
}

function checkAutoscaler(object: KubernetesObject, objects: readonly KubernetesObject[]): string[] {
  const { scaleTargetRef, triggers = [] } = object.spec as unknown as AutoscalerSpec;
  const exists = (kind: string, name: string) =>
    objects.some((one) => one.kind === kind && one.metadata.name === name);
  const { kind = 'Deployment', name } = scaleTargetRef;
  const authentications = new Set(triggers.flatMap(({ authenticationRef }) => authenticationRef?.name ?? []));
  return [
    ...(exists(kind, name) ? [] : [`${toTitle(object)}: its target ${kind} ${name} does not exist`]),
    ...[...authentications]
      .filter((one) => !exists('TriggerAuthentication', one))
      .map((one) => `${toTitle(object)}: its TriggerAuthentication ${one} does not exist`),
  ];
}
