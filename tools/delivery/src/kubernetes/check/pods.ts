import type { IPodSpec } from 'kubernetes-models/v1/PodSpec';
import { labelKeys, type KubernetesObject } from '../objects.ts';

export type Labels = Readonly<Record<string, string>>;

/** The pods that an object creates. */
export interface Pods {
  /** `Deployment tea`. */
  owner: string;
  kind: string;
  labels: Labels;
  /** Undefined for pods that an operator creates. */
  spec: IPodSpec | undefined;
  selector: Labels | undefined;
}

export const toTitle = ({ kind, metadata }: KubernetesObject): string => `${kind} ${metadata.name}`;

interface Workload {
  selector?: { matchLabels?: Labels };
  template: { metadata?: { labels?: Labels }; spec: IPodSpec };
}

/** The pods of all objects, also of those that the operators of RabbitMQ and PostgreSQL create. */
export const listPods = (objects: readonly KubernetesObject[]): Pods[] => objects.flatMap(findPods);

function findPods(object: KubernetesObject): Pods[] {
  const { kind, metadata } = object;
  const pods = { owner: toTitle(object), kind };
  if (['Deployment', 'StatefulSet', 'Job', 'DaemonSet'].includes(kind)) {
    const { selector, template } = object.spec as Workload;
    return [
      {
        ...pods,
        labels: template.metadata?.labels ?? {},
        spec: template.spec,
        selector: selector?.matchLabels,
      },
    ];
  }
  if (kind === 'RabbitmqCluster')
    return [{ ...pods, labels: { [labelKeys.name]: metadata.name }, spec: undefined, selector: undefined }];
  if (kind === 'Cluster') {
    const { inheritedMetadata } = object.spec as { inheritedMetadata?: { labels?: Labels } };
    return [{ ...pods, labels: inheritedMetadata?.labels ?? {}, spec: undefined, selector: undefined }];
  }
  return [];
}

export const hasLabels = (labels: Labels, wanted: Labels): boolean =>
  Object.entries(wanted).every(([key, value]) => labels[key] === value);

export interface Selector {
  matchLabels?: Labels | undefined;
  matchExpressions?:
    readonly { key: string; operator: string; values?: readonly string[] | undefined }[] | undefined;
}

/** Whether a label selector matches. An empty one matches everything. */
export const matches = (labels: Labels, { matchLabels = {}, matchExpressions = [] }: Selector): boolean =>
  hasLabels(labels, matchLabels) &&
  matchExpressions.every(({ key, operator, values = [] }) => {
    const value = labels[key];
    if (operator === 'In') return value !== undefined && values.includes(value);
    if (operator === 'NotIn') return value === undefined || !values.includes(value);
    return (operator === 'Exists') === (value !== undefined);
  });

/** All containers of a pod, also those that run before the others. */
export const listContainers = ({ spec }: Pods) => [
  ...(spec?.initContainers ?? []),
  ...(spec?.containers ?? []),
];

export const formatLabels = (labels: Labels): string =>
  Object.entries(labels)
    .map(([key, value]) => `${key}=${value}`)
    .join(',');
