import type { IContainer } from 'kubernetes-models/v1/Container';
import type { KubernetesObject } from '../objects.ts';
import { secretsFolder } from '../pod.ts';
import { findKnownKeys, type KnownKeys } from './known-keys.ts';
import { listContainers, toTitle, type Pods } from './pods.ts';

/** One use of a Secret or a ConfigMap. Without `key`, the whole object. */
interface Reference {
  by: string;
  kind: 'Secret' | 'ConfigMap';
  name: string;
  key?: string | undefined;
}

/** Finds references to Secrets, ConfigMaps, keys of them, and ServiceAccounts that do not exist. */
export function checkReferences(objects: readonly KubernetesObject[], pods: readonly Pods[]): string[] {
  const known = findKnownKeys(objects);
  const references = [...pods.flatMap(listPodReferences), ...objects.flatMap(listObjectReferences)];
  const accounts = new Set(
    objects.filter(({ kind }) => kind === 'ServiceAccount').map(({ metadata }) => metadata.name),
  );
  return [
    ...references.flatMap((one) => checkReference(one, known)),
    ...pods.flatMap((one) => checkFileSettings(one, objects, known)),
    ...pods.flatMap(({ owner, spec }) => {
      const name = spec?.serviceAccountName;
      return name && !accounts.has(name) ? [`${owner}: the ServiceAccount ${name} does not exist`] : [];
    }),
  ];
}

function checkReference({ by, kind, name, key }: Reference, known: KnownKeys): string[] {
  const keys = known.get(`${kind} ${name}`);
  if (!keys) return [`${by}: the ${kind} ${name} does not exist`];
  return key !== undefined && !keys.has(key) ? [`${by}: the ${kind} ${name} has no key ${key}`] : [];
}

type Source = { name?: string; secretName?: string; items?: { key: string }[]; optional?: boolean };

const listSource = (by: string, kind: Reference['kind'], source: Source | undefined): Reference[] => {
  if (!source || source.optional) return [];
  const name = source.secretName ?? source.name ?? '';
  return [{ by, kind, name }, ...(source.items ?? []).map(({ key }) => ({ by, kind, name, key }))];
};

function listPodReferences(pods: Pods): Reference[] {
  const { owner: by, spec } = pods;
  const volumes = (spec?.volumes ?? []).flatMap(({ secret, configMap, projected }) => [
    ...listSource(by, 'Secret', secret),
    ...listSource(by, 'ConfigMap', configMap),
    ...(projected?.sources ?? []).flatMap((source) => [
      ...listSource(by, 'Secret', source.secret),
      ...listSource(by, 'ConfigMap', source.configMap),
    ]),
  ]);
  const variables = listContainers(pods).flatMap(({ env = [], envFrom = [] }) => [
    ...envFrom.flatMap(({ secretRef, configMapRef }) => [
      ...listSource(by, 'Secret', secretRef),
      ...listSource(by, 'ConfigMap', configMapRef),
    ]),
    ...env.flatMap(({ valueFrom }) => {
      const { secretKeyRef: secret, configMapKeyRef: map } = valueFrom ?? {};
      return [
        ...(secret && !secret.optional
          ? [{ by, kind: 'Secret' as const, name: secret.name ?? '', key: secret.key }]
          : []),
        ...(map && !map.optional
          ? [{ by, kind: 'ConfigMap' as const, name: map.name ?? '', key: map.key }]
          : []),
      ];
    }),
  ]);
  return [...volumes, ...variables];
}

interface OperatorSpec {
  secretTargetRef?: { name: string; key: string }[];
  secretBackend?: { externalSecret?: { name: string } };
  tls?: { secretName?: string };
  managed?: { roles?: { passwordSecret?: { name: string } }[] };
  ca?: { secretName?: string };
}

/** What objects of operators refer to. */
function listObjectReferences(object: KubernetesObject): Reference[] {
  const spec = (object.spec ?? {}) as OperatorSpec;
  const toSecret = (name: string | undefined): Reference[] =>
    name ? [{ by: toTitle(object), kind: 'Secret', name }] : [];
  switch (object.kind) {
    case 'TriggerAuthentication':
      return (spec.secretTargetRef ?? []).map(({ name, key }) => ({
        by: toTitle(object),
        kind: 'Secret',
        name,
        key,
      }));
    case 'RabbitmqCluster':
      return [...toSecret(spec.secretBackend?.externalSecret?.name), ...toSecret(spec.tls?.secretName)];
    case 'Cluster':
      return (spec.managed?.roles ?? []).flatMap(({ passwordSecret }) => toSecret(passwordSecret?.name));
    case 'Issuer':
      return toSecret(spec.ca?.secretName);
    default:
      return [];
  }
}

/** Every variable `NAME_FILE` must name a file that the mounted Secret has: a service does not start without it. */
function checkFileSettings(pods: Pods, objects: readonly KubernetesObject[], known: KnownKeys): string[] {
  const secret = pods.spec?.volumes?.find(({ name }) => name === 'secrets')?.secret?.secretName;
  return listContainers(pods).flatMap((container) =>
    listFileSettings(container, objects).flatMap(([name, path]) => {
      const key = path.slice(secretsFolder.length + 1);
      if (!path.startsWith(`${secretsFolder}/`) || (secret && known.get(`Secret ${secret}`)?.has(key)))
        return [];
      return [
        `${pods.owner}: ${name} names the key ${key}, which the Secret ${secret ?? '(none)'} does not have`,
      ];
    }),
  );
}

/** The variables of a container that name files, also those from ConfigMaps. */
function listFileSettings({ env = [], envFrom = [] }: IContainer, objects: readonly KubernetesObject[]) {
  const maps = envFrom.flatMap(({ configMapRef }) =>
    objects.filter(({ kind, metadata }) => kind === 'ConfigMap' && metadata.name === configMapRef?.name),
  );
  const all = [
    ...env.map(({ name, value }) => [name, value ?? ''] as const),
    ...maps.flatMap(({ data }) => Object.entries((data ?? {}) as Record<string, string>)),
  ];
  return all.filter(([name]) => name.endsWith('_FILE'));
}
