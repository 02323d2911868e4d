import type { IStatefulSet } from 'kubernetes-models/apps/v1/StatefulSet';
import type { IPodSpec } from 'kubernetes-models/v1/PodSpec';
import type { IService } from 'kubernetes-models/v1/Service';
import { buildConfigMap } from './base.ts';
import type { ServerFacts } from './declarations.ts';
import { names, selectPods, setWave, type KubernetesObject } from './objects.ts';
import { buildPodSecurity, containerSecurity } from './pod.ts';

/** Where deploy/create-databases.sh reads the addresses of the databases. */
const secretsFolder = '/run/secrets';
/** The users of the official images of RabbitMQ and PostgreSQL. */
const serverUser = 999;

interface Server {
  name: string;
  ports: Record<string, number>;
  storage: string;
  spec: IPodSpec;
}

/** One broker and one database server without replicas, for development: their nodes may be lost. */
export function buildSingleNode(servers: ServerFacts): Record<string, KubernetesObject[]> {
  return {
    'rabbitmq.yaml': buildServer({
      name: names.broker,
      ports: { amqp: 5672, management: 15_672 },
      storage: '1Gi',
      spec: buildBroker(servers),
    }),
    'postgres.yaml': [
      buildConfigMap(names.database, { 'create-databases.sh': servers.createDatabases }),
      ...buildServer({
        name: names.database,
        ports: { postgres: 5432 },
        storage: '1Gi',
        spec: buildDatabase(servers),
      }),
    ],
  };
}

function buildServer({ name, ports, storage, spec }: Server): KubernetesObject[] {
  const labels = selectPods(name);
  const service = {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name, labels, annotations: setWave('backing') },
    spec: {
      selector: labels,
      ports: Object.entries(ports).map(([port, number]) => ({ name: port, port: number, targetPort: port })),
    },
  } satisfies IService & KubernetesObject;
  const set = {
    apiVersion: 'apps/v1',
    kind: 'StatefulSet',
    metadata: { name, labels, annotations: setWave('backing') },
    spec: {
      serviceName: name,
      replicas: 1,
      selector: { matchLabels: labels },
      template: { metadata: { labels }, spec },
      volumeClaimTemplates: [
        {
          metadata: { name: 'data' },
          spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage } } },
        },
      ],
    },
  } satisfies IStatefulSet & KubernetesObject;
  return [service, set];
}

function buildBroker({ rabbitmqImage, erlangArguments }: ServerFacts): IPodSpec {
  return {
    ...buildPodSecurity(serverUser),
    // The queues are closed before the node ends.
    terminationGracePeriodSeconds: 60,
    containers: [
      {
        name: names.broker,
        image: rabbitmqImage,
        ports: [
          { name: 'amqp', containerPort: 5672 },
          { name: 'management', containerPort: 15_672 },
        ],
        // One node: Erlang's distribution, which can execute code, stays inside this container.
        env: [
          { name: 'RABBITMQ_NODENAME', value: 'rabbit@localhost' },
          { name: 'ERL_EPMD_ADDRESS', value: '127.0.0.1' },
          {
            name: 'RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS',
            value: `-kernel inet_dist_use_interface {127,0,0,1} ${erlangArguments}`,
          },
        ],
        securityContext: containerSecurity,
        resources: { requests: { cpu: '100m', memory: '256Mi' }, limits: { memory: '1Gi' } },
        startupProbe: { tcpSocket: { port: 'amqp' }, periodSeconds: 2, failureThreshold: 60 },
        readinessProbe: { tcpSocket: { port: 'amqp' }, periodSeconds: 5 },
        volumeMounts: [
          { name: 'data', mountPath: '/var/lib/rabbitmq' },
          {
            name: 'operator',
            mountPath: '/etc/rabbitmq/conf.d/90-operator.conf',
            subPath: '90-operator.conf',
            readOnly: true,
          },
        ],
      },
    ],
    volumes: [{ name: 'operator', secret: { secretName: names.broker, defaultMode: 0o440 } }],
  };
}

function buildDatabase({ postgresImage }: ServerFacts): IPodSpec {
  const isReady = { exec: { command: ['pg_isready', '-h', '127.0.0.1', '-U', 'postgres'] } };
  return {
    ...buildPodSecurity(serverUser),
    terminationGracePeriodSeconds: 60,
    containers: [
      {
        name: names.database,
        image: postgresImage,
        ports: [{ name: 'postgres', containerPort: 5432 }],
        env: [{ name: 'POSTGRES_PASSWORD_FILE', value: `${secretsFolder}/postgres_password` }],
        securityContext: containerSecurity,
        resources: { requests: { cpu: '100m', memory: '256Mi' }, limits: { memory: '1Gi' } },
        startupProbe: { ...isReady, periodSeconds: 2, failureThreshold: 60 },
        readinessProbe: { ...isReady, periodSeconds: 5, timeoutSeconds: 5 },
        volumeMounts: [
          { name: 'data', mountPath: '/var/lib/postgresql' },
          { name: 'run', mountPath: '/var/run/postgresql' },
          { name: 'secrets', mountPath: secretsFolder, readOnly: true },
          { name: 'databases', mountPath: '/docker-entrypoint-initdb.d', readOnly: true },
        ],
      },
    ],
    volumes: [
      { name: 'run', emptyDir: {} },
      { name: 'secrets', secret: { secretName: names.database, defaultMode: 0o440 } },
      { name: 'databases', configMap: { name: names.database } },
    ],
  };
}
