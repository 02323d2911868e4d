import type { KubernetesObject } from '../objects.ts';

/** The keys of all Secrets and ConfigMaps, by `Secret tea` or `ConfigMap tea`. */
export type KnownKeys = ReadonlyMap<string, ReadonlySet<string>>;

/**
 * Finds the keys of ConfigMaps and Secrets, also of Secrets that operators write: External Secrets, cert-manager and
 * CloudNativePG.
 */
export function findKnownKeys(objects: readonly KubernetesObject[]): KnownKeys {
  const known = new Map<string, Set<string>>();
  for (const [title, keys] of objects.flatMap(listKeys))
    known.set(title, new Set([...(known.get(title) ?? []), ...keys]));
  return known;
}

interface ExternalSecretSpec {
  target?: { name?: string; template?: { data?: object } };
  data?: { secretKey: string }[];
}

function listKeys(object: KubernetesObject): [title: string, keys: string[]][] {
  const { kind, metadata } = object;
  const getKeys = (field: string) => Object.keys((object[field] as object | undefined) ?? {});
  switch (kind) {
    case 'ConfigMap':
      return [[`ConfigMap ${metadata.name}`, [...getKeys('data'), ...getKeys('binaryData')]]];
    case 'Secret':
      return [[`Secret ${metadata.name}`, [...getKeys('data'), ...getKeys('stringData')]]];
    case 'ExternalSecret': {
      const { target, data = [] } = object.spec as ExternalSecretSpec;
      // A template replaces what comes from the secret store.
      const keys = target?.template?.data
        ? Object.keys(target.template.data)
        : data.map(({ secretKey }) => secretKey);
      return [[`Secret ${target?.name ?? metadata.name}`, keys]];
    }
    case 'Certificate': {
      const { secretName } = object.spec as { secretName: string };
      return [[`Secret ${secretName}`, ['ca.crt', 'tls.crt', 'tls.key']]];
    }
    case 'Cluster':
      return [[`Secret ${metadata.name}-ca`, ['ca.crt', 'ca.key']]];
    default:
      return [];
  }
}
