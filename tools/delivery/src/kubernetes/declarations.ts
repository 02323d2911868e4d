import type { AppManifest, WorkspaceConfig } from '@jogakbo/contract/workspace';
import type { BusDescription } from '@jogakbo/messaging/grants';
import { queues } from '@jogakbo/messaging/topology';

/** What the folder of a service declares. */
export interface ServiceDeclaration {
  name: string;
  /** The version in its package.json. */
  version: string;
  manifest: AppManifest;
  /** Written by its build. */
  bus: BusDescription;
}

/** A whole workspace: all that the objects are derived from. */
export interface WorkspaceDeclaration {
  facts: WorkspaceConfig;
  services: readonly ServiceDeclaration[];
  /** The servers of the development overlay, and the names that they share with other ways to run the store. */
  servers: ServerFacts;
}

export interface ServerFacts {
  rabbitmqImage: string;
  postgresImage: string;
  /** Login of the administrator: on the broker it is the broker operator. */
  administrator: string;
  /** For RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS. */
  erlangArguments: string;
  /** The shell script that creates the databases: deploy/create-databases.sh. */
  createDatabases: string;
}

/** The declaration contradicts itself. The message names the file and what to change. */
export class WrongDeclaration extends Error {
  override readonly name = 'WrongDeclaration';
}

/** The memory limits of a service as options of Node. */
export const getMemoryFlags = ({ heap }: AppManifest): string[] => [
  `--max-semi-space-size=${heap.young}`,
  `--max-old-space-size=${heap.old}`,
];

/** Besides those that people choose: the secrets that are generated for the service that declares them. */
export const generatedSecrets = ['STAFF', 'CONFIG_KEY', 'CONFIG_CLIENTS'];
/** Settings of every service: no service gets its own value. */
const platformSettings = ['LOCAL_MODE'];

/** The settings that people choose for each environment: those that the compose file takes from .env. */
export const listChosenSettings = ({ compose, secrets }: AppManifest): string[] =>
  [
    ...Object.keys(compose.environment).filter((name) => !platformSettings.includes(name)),
    ...secrets.filter((name) => name in compose.secrets),
  ].sort();

/** The secrets that every environment has for the service. */
export const listGeneratedSecrets = ({ secrets }: AppManifest): string[] =>
  secrets.filter((name) => generatedSecrets.includes(name));

/** Whether clients connect to the service by a fixed address: the gateway, and services such as the registry. */
export const isCalledOverHttp = (
  { name, manifest }: ServiceDeclaration,
  all: WorkspaceDeclaration,
): boolean => manifest.port !== undefined || listHttpCallers(name, all).length > 0;

/** The services that declare `egress: [{ service }]` with this one. */
export const listHttpCallers = (name: string, { services }: WorkspaceDeclaration): string[] =>
  services
    .filter(({ manifest }) => manifest.egress.some((one) => 'service' in one && one.service === name))
    .map((one) => one.name);

/** Whether the service connects to outside services over HTTP, on behalf of others. */
export const callsOutsideServices = ({ manifest }: ServiceDeclaration): boolean =>
  manifest.settings.includes('DENIED_UPSTREAMS');

/** The queues from which the service consumes, by what their messages are. */
export function listWorkQueues({ name, bus }: ServiceDeclaration): string[] {
  const has = (kind: string) => bus.contracts.some((one) => one.kind === kind);
  return [
    ...(has('command') ? [queues.commands(name)] : []),
    ...(bus.subscribesTo.length > 0 ? [queues.events(name)] : []),
    ...(has('query') ? [queues.queries(name)] : []),
  ];
}

/**
 * Checks what no schema of one manifest can check.
 * @throws WrongDeclaration with one line per problem
 */
export function assertConsistent({ services }: WorkspaceDeclaration): void {
  const known = new Set(services.map(({ name }) => name));
  const problems = services.flatMap(({ name, manifest, bus }) => {
    const file = `apps/${name}/package.json`;
    const unknown = manifest.egress.flatMap((one) =>
      'service' in one && !known.has(one.service) ? [one.service] : [],
    );
    const queries = bus.contracts.filter(({ kind }) => kind === 'query');
    return [
      ...unknown.map(
        (one) => `${file}: "egress" names the service ${one}, which does not exist: correct the name`,
      ),
      ...(manifest.scaleToZero && queries.length > 0
        ? [
            `${file}: "scaleToZero" is true, but the service answers the query ${queries[0]!.name}, whose callers do ` +
              'not wait for a start: remove "scaleToZero"',
          ]
        : []),
    ];
  });
  if (problems.length > 0) throw new WrongDeclaration(problems.join('\n'));
}

/** The name of a Service for clients in other namespaces. */
export const toNamespacedHost = (service: string, { facts }: WorkspaceDeclaration): string =>
  `${service}.${facts.name}.svc`;
