import type { INetworkPolicy } from 'kubernetes-models/networking.k8s.io/v1/NetworkPolicy';
import {
  callsOutsideServices,
  listHttpCallers,
  type ServiceDeclaration,
  type WorkspaceDeclaration,
} from './declarations.ts';
import { httpPort, labelKeys, names, selectPods, serverPorts, type KubernetesObject } from './objects.ts';

type Spec = NonNullable<INetworkPolicy['spec']>;
type Ingress = NonNullable<Spec['ingress']>[number];
type Egress = NonNullable<Spec['egress']>[number];

/** The namespaces of programs that serve the whole cluster. Their names are those of the usual installations. */
const namespaces = {
  monitoring: 'monitoring',
  keda: 'keda',
  rabbitmq: 'rabbitmq-system',
  postgres: 'cnpg-system',
};
const inNamespace = (name: string) => ({
  namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': name } },
});
const pods = (matchLabels: Record<string, string>) => ({ podSelector: { matchLabels } });
const podsOf = (services: readonly string[]) => ({
  podSelector: { matchExpressions: [{ key: labelKeys.name, operator: 'In', values: [...services] }] },
});
const toPorts = (...ports: number[]) => ports.map((port) => ({ port, protocol: 'TCP' as const }));

const buildPolicy = (
  name: string,
  podSelector: Spec['podSelector'],
  rules: { ingress?: Ingress[]; egress?: Egress[] },
): KubernetesObject =>
  ({
    apiVersion: 'networking.k8s.io/v1',
    kind: 'NetworkPolicy',
    metadata: { name },
    spec: { podSelector, policyTypes: ['Ingress', 'Egress'], ...rules },
  }) satisfies INetworkPolicy & KubernetesObject;

/** Ranges that are not public: no service may reach them because it may reach the internet. */
const privateRanges = [
  ...['10.0.0.0/8', '100.64.0.0/10', '127.0.0.0/8', '169.254.0.0/16', '172.16.0.0/12', '192.168.0.0/16'],
];
const toHosts = (cidr: string | undefined) =>
  cidr
    ? [{ ipBlock: { cidr } }]
    : [
        { ipBlock: { cidr: '0.0.0.0/0', except: privateRanges } },
        { ipBlock: { cidr: '::/0', except: ['fc00::/7', 'fe80::/10'] } },
      ];

const toBroker: Egress = { to: [pods(selectPods(names.broker))], ports: toPorts(...serverPorts.amqp) };
const toDatabase: Egress = {
  to: [pods(selectPods(names.database))],
  ports: toPorts(...serverPorts.postgres),
};
const outsideServices = pods({ [labelKeys.outsideService]: 'true' });

/** Who may connect to the HTTP port of a service. */
function listIngress(service: ServiceDeclaration, all: WorkspaceDeclaration): Ingress[] {
  const ports = [{ port: httpPort.name, protocol: 'TCP' as const }];
  // The public entrance: from everywhere.
  if (service.bus.isGateway) return [{ ports }];
  const callers = listHttpCallers(service.name, all).map((name) => pods(selectPods(name, 'service')));
  const outside = service.manifest.port === undefined ? [] : [outsideServices];
  return [{ from: [inNamespace(namespaces.monitoring), ...callers, ...outside], ports }];
}

/** Where a service may connect to: the broker, its own database, and what it declares. */
function listEgress(service: ServiceDeclaration): Egress[] {
  const { manifest } = service;
  return [
    toBroker,
    ...(manifest.database ? [toDatabase] : []),
    ...(callsOutsideServices(service) ? [{ to: [outsideServices] }] : []),
    ...manifest.egress.map((one): Egress =>
      'service' in one
        ? { to: [pods(selectPods(one.service, 'service'))], ports: toPorts(httpPort.containerPort) }
        : { to: toHosts(one.cidr), ports: toPorts(...one.ports) },
    ),
  ];
}

/** The policies of one service: of its instances, and of its migration. */
export function buildServicePolicies(
  service: ServiceDeclaration,
  all: WorkspaceDeclaration,
): KubernetesObject[] {
  const { name, manifest } = service;
  const select = (component: 'service' | 'migration') => ({ matchLabels: selectPods(name, component) });
  const ofInstances = buildPolicy(name, select('service'), {
    ingress: listIngress(service, all),
    egress: listEgress(service),
  });
  if (!manifest.database) return [ofInstances];
  return [ofInstances, buildPolicy(names.migration(name), select('migration'), { egress: [toDatabase] })];
}

/** The policies of the namespace, of the servers and of the deploy step. */
export function buildCommonPolicies({ services }: WorkspaceDeclaration): KubernetesObject[] {
  const withDatabase = services.filter(({ manifest }) => manifest.database).map(({ name }) => name);
  const toDns: Egress = {
    to: [inNamespace('kube-system')],
    ports: [{ port: 53, protocol: 'UDP' }, ...toPorts(53)],
  };
  const toServer = [...serverPorts.amqp, ...serverPorts.management];
  return [
    buildPolicy('default-deny', {}, {}),
    buildPolicy('dns', {}, { egress: [toDns] }),
    buildBrokerPolicy(services.map(({ name }) => name)),
    ...(withDatabase.length > 0 ? [buildDatabasePolicy(withDatabase)] : []),
    buildPolicy(
      names.logins,
      { matchLabels: selectPods(names.logins, 'step') },
      { egress: [{ to: [pods(selectPods(names.broker))], ports: toPorts(...toServer) }] },
    ),
  ];
}

/** The nodes of a server find each other, and elect a leader, through the Kubernetes API. */
const toApiServer: Egress = { ports: toPorts(443, 6443) };

function buildBrokerPolicy(services: readonly string[]): KubernetesObject {
  const podSelector = { matchLabels: selectPods(names.broker) };
  const nodes = [{ podSelector }];
  // Erlang's distribution, streams between nodes, and the command line.
  const betweenNodes = [
    ...toPorts(4369, 25_672),
    ...[
      { port: 6000, endPort: 6500 },
      { port: 35_672, endPort: 35_682 },
    ].map((range) => ({ ...range, protocol: 'TCP' as const })),
  ];
  const step = pods(selectPods(names.logins, 'step'));
  const clients = [podsOf(services), step, inNamespace(namespaces.keda)];
  return buildPolicy(names.broker, podSelector, {
    ingress: [
      { from: clients, ports: toPorts(...serverPorts.amqp) },
      { from: [step, inNamespace(namespaces.rabbitmq)], ports: toPorts(...serverPorts.management) },
      { from: [inNamespace(namespaces.monitoring)], ports: toPorts(15_691, 15_692) },
      { from: nodes, ports: betweenNodes },
    ],
    egress: [{ to: nodes, ports: betweenNodes }, toApiServer],
  });
}

function buildDatabasePolicy(services: readonly string[]): KubernetesObject {
  const podSelector = { matchLabels: selectPods(names.database) };
  const nodes = [{ podSelector }];
  // 8000: the status of an instance.
  const withStatus = toPorts(...serverPorts.postgres, 8000);
  return buildPolicy(names.database, podSelector, {
    ingress: [
      { from: [podsOf(services)], ports: toPorts(...serverPorts.postgres) },
      { from: [inNamespace(namespaces.postgres), ...nodes], ports: withStatus },
      { from: [inNamespace(namespaces.monitoring)], ports: toPorts(9187) },
    ],
    egress: [{ to: nodes, ports: withStatus }, toApiServer],
  });
}
