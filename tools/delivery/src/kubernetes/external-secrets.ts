import type { IExternalSecret } from '@kubernetes-models/external-secrets/external-secrets.io/v1/ExternalSecret';
import {
  listChosenSettings,
  listGeneratedSecrets,
  toNamespacedHost,
  type ServiceDeclaration,
  type WorkspaceDeclaration,
} from './declarations.ts';
import { names, setWave, toIdentifier, type KubernetesObject } from './objects.ts';

/** The ClusterSecretStore from which all Secrets come. */
export const secretStore = 'secret-store';
/** Secret with the login of the broker operator, in the form of the RabbitMQ cluster operator. */
export const operatorSecret = 'broker-operator';
/** Secret with the password of a service's role in the database. */
export const toRoleSecret = (service: string): string => `${service}-database`;

/** Where the pods find the certificates of the authorities that signed those of the servers. */
export const authoritiesFolder = '/run/authorities';
const brokerAuthority = `${authoritiesFolder}/rabbitmq.crt`;
const databaseAuthority = `${authoritiesFolder}/postgres.crt`;

type RemoteData = NonNullable<NonNullable<IExternalSecret['spec']>['data']>;

interface Declared {
  name: string;
  /** The templates of the Secret's values, in which `.property` is a property of an entry. */
  templates: Record<string, string>;
  /** Entry of the secret store, all of whose properties the templates may use. */
  entry?: string;
  data?: RemoteData;
  type?: string;
  labels?: Record<string, string>;
}

/**
 * Describes the Secrets of production, which the External Secrets operator copies from a secret store. Each service has one
 * entry there, `<workspace>/<service>`, with the properties broker_password, database_password, config_password,
 * service_key, and its own secrets and chosen settings in lower case. The entry `<workspace>/broker` has operator_password.
 */
export const buildExternalSecrets = (all: WorkspaceDeclaration): KubernetesObject[] => [
  buildOperatorSecret(all),
  buildLoginsSecret(all),
  ...all.services.flatMap((service) => [
    buildServiceSecret(service, all),
    ...(service.manifest.database ? [buildRoleSecret(service, all)] : []),
  ]),
];

const buildExternalSecret = ({ name, templates, entry, data, type, labels }: Declared): KubernetesObject =>
  ({
    apiVersion: 'external-secrets.io/v1',
    kind: 'ExternalSecret',
    metadata: { name, annotations: setWave('backing') },
    spec: {
      refreshInterval: '1h',
      secretStoreRef: { kind: 'ClusterSecretStore', name: secretStore },
      target: {
        name,
        creationPolicy: 'Owner',
        template: {
          engineVersion: 'v2',
          ...(type && { type }),
          ...(labels && { metadata: { labels } }),
          data: templates,
        },
      },
      ...(entry && { dataFrom: [{ extract: { key: entry } }] }),
      ...(data && { data }),
    },
  }) satisfies IExternalSecret & KubernetesObject;

/** The same property of the entries of all services, as JSON by service. */
function combine(property: string, { facts, services }: WorkspaceDeclaration) {
  const keys = services.map(({ name }) => ({ name, secretKey: `${toIdentifier(name)}_${property}` }));
  return {
    template: `{{ dict ${keys.map(({ name, secretKey }) => `"${name}" .${secretKey}`).join(' ')} | toJson }}`,
    data: keys.map(({ name, secretKey }) => ({
      secretKey,
      remoteRef: { key: `${facts.name}/${name}`, property },
    })),
  };
}

const insert = (property: string): string => `{{ .${property} }}`;
const insertInUrl = (property: string): string => `{{ .${property} | urlquery }}`;

function buildServiceSecret(service: ServiceDeclaration, all: WorkspaceDeclaration): KubernetesObject {
  const { name, manifest } = service;
  const role = toIdentifier(name);
  const login = `amqps://${name}:${insertInUrl('broker_password')}`;
  const clients = manifest.secrets.includes('CONFIG_CLIENTS') && combine('config_password', all);
  const own = [...listGeneratedSecrets(manifest), ...listChosenSettings(manifest)]
    .map((setting) => setting.toLowerCase())
    .filter((property) => property !== 'config_clients');
  return buildExternalSecret({
    name,
    entry: `${all.facts.name}/${name}`,
    ...(clients && { data: clients.data }),
    templates: {
      rabbitmq_url: `${login}@${names.broker}:5671?cacertfile=${brokerAuthority}`,
      // KEDA runs in another namespace, and takes the authority as a parameter.
      queue_url: `${login}@${toNamespacedHost(names.broker, all)}:5671/`,
      queue_tls: 'enable',
      ...(manifest.database && {
        database_url:
          `postgres://${role}:${insertInUrl('database_password')}@${names.database}-rw:5432/${role}` +
          `?sslmode=verify-full&sslrootcert=${databaseAuthority}`,
      }),
      config_password: insert('config_password'),
      service_key: insert('service_key'),
      ...Object.fromEntries(own.map((property) => [property, insert(property)])),
      ...(clients && { config_clients: clients.template }),
    },
  });
}

const buildRoleSecret = ({ name }: ServiceDeclaration, { facts }: WorkspaceDeclaration): KubernetesObject =>
  buildExternalSecret({
    name: toRoleSecret(name),
    entry: `${facts.name}/${name}`,
    type: 'kubernetes.io/basic-auth',
    // CloudNativePG then takes a new password over at once.
    labels: { 'cnpg.io/reload': 'true' },
    templates: { username: toIdentifier(name), password: insert('database_password') },
  });

const buildOperatorSecret = ({ facts, servers }: WorkspaceDeclaration): KubernetesObject =>
  buildExternalSecret({
    name: operatorSecret,
    entry: `${facts.name}/broker`,
    templates: {
      'default_user.conf': `default_user = ${servers.administrator}\ndefault_pass = ${insert('operator_password')}\n`,
      username: servers.administrator,
      password: insert('operator_password'),
      host: names.broker,
      port: '5671',
      provider: 'rabbitmq',
      type: 'rabbitmq',
    },
  });

function buildLoginsSecret(all: WorkspaceDeclaration): KubernetesObject {
  const [passwords, keys] = [combine('broker_password', all), combine('service_key', all)];
  const operator = { key: `${all.facts.name}/broker`, property: 'operator_password' };
  return buildExternalSecret({
    name: names.logins,
    data: [{ secretKey: 'operator_password', remoteRef: operator }, ...passwords.data, ...keys.data],
    templates: {
      rabbitmq_url:
        `amqps://${all.servers.administrator}:${insertInUrl('operator_password')}@${names.broker}:5671` +
        `?cacertfile=${brokerAuthority}`,
      broker_passwords: passwords.template,
      service_keys: keys.template,
    },
  });
}
