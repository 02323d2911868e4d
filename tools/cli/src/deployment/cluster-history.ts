import type { ContentPart } from '@jogakbo/delivery/src/content.ts';
import { type Cluster, kinds, type StoredObject } from '@jogakbo/delivery/src/engines/cluster.ts';
import { labelKeys } from '@jogakbo/delivery/src/kubernetes/objects.ts';
import { CliError } from '../terminal/cli-error.ts';
import {
  createDeployment,
  type Deployment,
  type DeploymentHistory,
  type EndedDeployment,
  listRecentVersions,
  type NewDeployment,
} from './deployments.ts';

/** A ConfigMap for each service: all deployments, and what the recent versions are built of. */
interface ServiceRecord extends StoredObject {
  data: Record<string, string>;
}

const component = { [labelKeys.component]: 'deployments' };
const historyKey = 'history';
const toPartsKey = (version: string): string => `parts-${version.replaceAll(/[^\w.-]/g, '-')}`;
/** A ConfigMap contains at most one megabyte. */
const keptDeployments = 100;
const keptParts = 5;
const attempts = 5;

/** The deployments to a cluster, kept in it, so that every machine sees them. */
export class ClusterHistory implements DeploymentHistory {
  readonly #cluster: Cluster;
  readonly #store: string;

  /** @param store the name of the workspace */
  constructor(cluster: Cluster, store: string) {
    this.#cluster = cluster;
    this.#store = store;
  }

  async read(): Promise<Deployment[]> {
    const all = (await this.#list()).flatMap(parseHistory);
    return all.sort((one, other) => (one.id < other.id ? -1 : 1));
  }

  /** What a version is built of; undefined if that is not known. */
  async readParts(): Promise<(service: string, version: string) => readonly ContentPart[] | undefined> {
    const all = new Map((await this.#list()).map((one) => [one.metadata.labels?.[labelKeys.name], one.data]));
    return (service, version) => {
      const text = all.get(service)?.[toPartsKey(version)];
      return text === undefined ? undefined : (JSON.parse(text) as ContentPart[]);
    };
  }

  async begin(deployment: NewDeployment): Promise<string> {
    const begun = createDeployment(deployment);
    const { service, to, parts } = deployment;
    await this.#change(
      service,
      (all) => [...all, begun],
      parts && { [toPartsKey(to)]: JSON.stringify(parts) },
    );
    return begun.id;
  }

  async end({ id, service, outcome, detail }: EndedDeployment): Promise<void> {
    const end = { outcome, endedAt: new Date().toISOString(), ...(detail && { detail }) };
    await this.#change(service, (all) => all.map((one) => (one.id === id ? { ...one, ...end } : one)));
  }

  #list(): Promise<ServiceRecord[]> {
    return this.#cluster.list<ServiceRecord>(kinds.configMap, {
      [labelKeys.partOf]: this.#store,
      ...component,
    });
  }

  /** Repeats the change if another command has changed the ConfigMap meanwhile. */
  async #change(
    service: string,
    change: (all: Deployment[]) => Deployment[],
    added: Record<string, string> = {},
  ): Promise<void> {
    const name = `${service}-deployments`;
    for (let attempt = 0; attempt < attempts; attempt += 1) {
      const known = await this.#cluster.read<ServiceRecord>(kinds.configMap, name);
      const all = change(known ? parseHistory(known) : []).slice(-keptDeployments);
      const data = removeOldParts(
        { ...known?.data, ...added, [historyKey]: JSON.stringify(all) },
        all,
        service,
      );
      const labels = { [labelKeys.name]: service, [labelKeys.partOf]: this.#store, ...component };
      const [apiVersion, kind] = kinds.configMap;
      const done = known
        ? await this.#cluster.replace({ ...known, data })
        : await this.#cluster.create({ apiVersion, kind, metadata: { name, labels }, data });
      if (done) return;
    }
    throw new CliError(`The ConfigMap ${name} changes all the time: the deployment cannot be recorded.`);
  }
}

const parseHistory = ({ data }: ServiceRecord): Deployment[] =>
  JSON.parse(data[historyKey] ?? '[]') as Deployment[];

function removeOldParts(
  data: Record<string, string>,
  all: readonly Deployment[],
  service: string,
): Record<string, string> {
  const latest = all.at(-1)?.to;
  const kept = [...(latest ? [latest] : []), ...listRecentVersions(all, service).slice(0, keptParts)];
  const keys = new Set([historyKey, ...kept.map(toPartsKey)]);
  return Object.fromEntries(Object.entries(data).filter(([key]) => keys.has(key)));
}
