import type { ISecret } from 'kubernetes-models/v1/Secret';
import { listGeneratedSecrets, toNamespacedHost, type WorkspaceDeclaration } from './declarations.ts';
import { names, toIdentifier, type KubernetesObject } from './objects.ts';

/**
 * The Secrets of the development overlay, with the values that deploy/compose-secrets.mjs writes for containers.
 * @param get returns a value by its name in upper case, and throws if there is none
 */
export function buildLocalSecrets(
  all: WorkspaceDeclaration,
  get: (name: string) => string,
): KubernetesObject[] {
  const databases = all.services.filter(({ manifest }) => manifest.database).map(({ name }) => name);
  const ofService = all.services.map(({ name, manifest }) => {
    const prefix = toIdentifier(name).toUpperCase();
    const brokerUrl = get(`${prefix}_BROKER_URL`);
    return buildSecret(name, all, {
      rabbitmq_url: brokerUrl,
      // KEDA runs in another namespace.
      queue_url: brokerUrl.replace(`@${names.broker}:`, `@${toNamespacedHost(names.broker, all)}:`),
      queue_tls: 'disable',
      ...(manifest.database && { database_url: get(`${prefix}_DATABASE_URL`) }),
      config_password: get(`${prefix}_CONFIG_PASSWORD`),
      service_key: get(`${prefix}_SERVICE_KEY`),
      ...Object.fromEntries(listGeneratedSecrets(manifest).map((name) => [name.toLowerCase(), get(name)])),
    });
  });
  return [
    buildSecret(names.broker, all, { '90-operator.conf': get('RABBITMQ_CONF') }),
    buildSecret(names.logins, all, {
      rabbitmq_url: get('OPERATOR_BROKER_URL'),
      broker_passwords: get('BROKER_PASSWORDS'),
      service_keys: get('SERVICE_KEYS'),
    }),
    buildSecret(names.database, all, {
      postgres_password: get('POSTGRES_PASSWORD'),
      ...Object.fromEntries(
        databases.map((name) => {
          const identifier = toIdentifier(name);
          return [`${identifier}_database_url`, get(`${identifier.toUpperCase()}_DATABASE_URL`)];
        }),
      ),
    }),
    ...ofService,
  ];
}

const buildSecret = (
  name: string,
  { facts }: WorkspaceDeclaration,
  stringData: Record<string, string>,
): KubernetesObject =>
  ({
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name, namespace: facts.name },
    type: 'Opaque',
    stringData,
  }) satisfies ISecret & KubernetesObject;
