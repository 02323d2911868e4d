import { listHttpCallers, type WorkspaceDeclaration } from '../declarations.ts';
import { httpPort, names, selectPods, serverPorts, type KubernetesObject } from '../objects.ts';
import { matches, type Labels, type Selector } from './pods.ts';

interface Port {
  port?: number | string;
  endPort?: number;
}
interface Rule {
  from?: Peer[];
  to?: Peer[];
  ports?: Port[];
}
interface Peer {
  podSelector?: Selector;
  namespaceSelector?: Selector;
  ipBlock?: object;
}
interface PolicySpec {
  podSelector: Selector;
  policyTypes?: string[];
  ingress?: Rule[];
  egress?: Rule[];
}

/** A connection that a service needs, by the labels of the pods at both ends. */
interface Connection {
  what: string;
  from: Labels;
  to: Labels;
  /** One of them must be permitted; a number and its name. */
  ports: (number | string)[];
}

/** Finds connections that the declarations need and that a NetworkPolicy forbids, at either end. */
export function checkNetwork(objects: readonly KubernetesObject[], all: WorkspaceDeclaration): string[] {
  const policies = objects
    .filter(({ kind }) => kind === 'NetworkPolicy')
    .map(({ spec }) => spec as unknown as PolicySpec);
  return listConnections(all).flatMap(({ what, from, to, ports }) =>
    (['egress', 'ingress'] as const)
      .filter((direction) => !isPermitted(policies, direction, { from, to, ports }))
      .map((direction) => `${what}: no NetworkPolicy permits it as ${direction}`),
  );
}

function listConnections(all: WorkspaceDeclaration): Connection[] {
  return all.services.flatMap(({ name, manifest }) => {
    const from = selectPods(name, 'service');
    const http = [httpPort.name, httpPort.containerPort];
    const calls = listHttpCallers(name, all).map((caller) => ({
      what: `the HTTP calls of ${caller} to ${name}`,
      ...{ from: selectPods(caller, 'service'), to: from, ports: http },
    }));
    const toDatabase = { to: selectPods(names.database), ports: [...serverPorts.postgres] };
    const database = manifest.database
      ? [
          { what: `the connection of ${name} to its database`, from, ...toDatabase },
          { what: `the migration of ${name}`, from: selectPods(name, 'migration'), ...toDatabase },
        ]
      : [];
    const broker = { to: selectPods(names.broker), ports: [...serverPorts.amqp] };
    return [{ what: `the connection of ${name} to the broker`, from, ...broker }, ...database, ...calls];
  });
}

function isPermitted(
  policies: readonly PolicySpec[],
  direction: 'egress' | 'ingress',
  { from, to, ports }: Omit<Connection, 'what'>,
): boolean {
  const [here, there] = direction === 'egress' ? [from, to] : [to, from];
  const type = direction === 'egress' ? 'Egress' : 'Ingress';
  const applying = policies.filter(
    ({ podSelector, policyTypes = ['Ingress'] }) => policyTypes.includes(type) && matches(here, podSelector),
  );
  // Without any policy for these pods, everything is permitted.
  if (applying.length === 0) return true;
  const rules = applying.flatMap((policy) => policy[direction] ?? []);
  return rules.some((rule) => {
    const peers = direction === 'egress' ? rule.to : rule.from;
    const isPeer =
      !peers ||
      peers.some(
        ({ podSelector, namespaceSelector }) =>
          podSelector && !namespaceSelector && matches(there, podSelector),
      );
    const isPort = !rule.ports || rule.ports.some(({ port }) => port === undefined || ports.includes(port));
    return isPeer && isPort;
  });
}
