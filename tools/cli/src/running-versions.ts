import type { Reply } from '@jogakbo/contract';
import { ServiceDescription } from '@jogakbo/contract';
import type { GetContract, ListContractVersions, ListInstances } from '@jogakbo/contracts-registry';
import type { ServiceVersion } from '@jogakbo/delivery/src/contract-check.ts';
import type { Release } from '@jogakbo/delivery/src/engine.ts';
import type { OperatorClient } from './commands/operator-client.ts';
import { CliError } from './terminal/cli-error.ts';

export type Instance = Reply<typeof ListInstances>['items'][number];

/** The running instances of an environment, also those that take no work. */
export const readInstances = async (client: OperatorClient): Promise<Instance[]> =>
  (await client.get<Reply<typeof ListInstances>>('/v1/ops/instances')).items;

/** One instance of each version and contract. */
export const distinguishVersions = (instances: readonly Instance[]): Instance[] => [
  ...new Map(instances.map((one) => [`${one.service} ${one.version} ${one.contractHash}`, one])).values(),
];

/**
 * Reads the contracts of all versions that run in an environment. Services outside of the bus are left out: they use the
 * public API only.
 * @throws CliError if one cannot be read
 */
export async function readRunningVersions(client: OperatorClient): Promise<ServiceVersion[]> {
  const onBus = (await readInstances(client)).filter(({ upstream }) => upstream === 'bus');
  const versions: ServiceVersion[] = [];
  const contracts = new Map<string, ServiceDescription>();
  for (const { service, version, contractHash } of distinguishVersions(onBus)) {
    const key = `${service} ${contractHash}`;
    const contract = contracts.get(key) ?? (await readContract(client, service, contractHash));
    contracts.set(key, contract);
    versions.push({ service, version, contract });
  }
  return versions;
}

/** The contract of a version that ran in an environment; undefined if its registry has none. @throws CliError */
export async function readRecordedVersion(
  client: OperatorClient,
  { service, version }: Release,
): Promise<ServiceVersion | undefined> {
  const path = `/v1/ops/contracts/${encodeURIComponent(service)}`;
  const { items } = await client.get<Reply<typeof ListContractVersions>>(path);
  const recorded = items.find((one) => one.version === version);
  if (!recorded) return undefined;
  return { service, version, contract: await readContract(client, service, recorded.hash) };
}

async function readContract(
  client: OperatorClient,
  service: string,
  hash: string,
): Promise<ServiceDescription> {
  const path = `/v1/ops/contracts/${encodeURIComponent(service)}/${hash}`;
  const { contract } = await client.get<Reply<typeof GetContract>>(path);
  const parsed = ServiceDescription.safeParse(contract);
  if (parsed.success) return parsed.data;
  throw new CliError(`The contract of ${service} with the hash ${hash} is invalid.`, {
    details: parsed.error.issues.slice(0, 5).map((issue) => `${issue.path.join('.')}: ${issue.message}`),
  });
}
