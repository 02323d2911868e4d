import type { ServiceDescription, UseDescription } from '@jogakbo/contract';
import {
  compareForeignEvent,
  comparePublicApi,
  compareUse,
  listPossibleUses,
  type Incompatibility,
} from '@jogakbo/contract/compatibility';
import { findOrder, type Precedence } from './deployment-order.ts';

/** A version of a service, running or to be deployed. */
export interface ServiceVersion {
  service: string;
  version: string;
  contract: ServiceDescription;
  /** `http`: it runs outside of the bus, and uses the public API only. */
  upstream?: 'bus' | 'http';
}

/** Something that a deployment would break. */
export interface Breakage extends Incompatibility {
  /** The version that breaks; undefined for clients of the public API. */
  consumer: { service: string; version: string } | undefined;
  /** The version that does not offer what the consumer uses. */
  provider: { service: string; version: string };
  /** The version that cannot be deployed: the consumer or the provider. */
  candidate: string;
  /** The consumer does not list what it uses, so that it may use this. */
  isAssumed?: true;
}

export interface ContractCheck {
  /** Empty if the candidates may be deployed, in this order. */
  breakages: Breakage[];
  /** The services of the candidates in the order of their deployment. */
  order: string[];
  /** Groups of services each of which must be deployed before another one of its group: `breakages` has the reasons. */
  cycles: string[][];
  /** Remarks that do not prevent the deployment. */
  notes: string[];
}

/**
 * Compares versions that are to be deployed with all that are running, in both directions. A running version of a service
 * that is deployed too is replaced: what is incompatible with it decides the order.
 * @param candidates at most one per service @param running all versions in the environment
 */
export function checkContracts({
  candidates,
  running,
}: {
  candidates: readonly ServiceVersion[];
  running: readonly ServiceVersion[];
}): ContractCheck {
  const services = new Set(candidates.map(({ service }) => service));
  const breakages: Breakage[] = [];
  const precedences: (Precedence & { because: Breakage[] })[] = [];
  for (const candidate of candidates) {
    const replaced = running.filter(({ service }) => service === candidate.service);
    breakages.push(...replaced.flatMap((before) => checkPublicApi(before, candidate)));
    for (const other of running.filter(({ service }) => service !== candidate.service)) {
      const because = [...findBroken(other, candidate, replaced), ...findBroken(candidate, other, [])].map(
        (one) => ({
          ...one,
          candidate: candidate.service,
        }),
      );
      if (!services.has(other.service)) breakages.push(...because);
      else if (because.length > 0)
        precedences.push({ before: other.service, after: candidate.service, because });
    }
    for (const other of candidates.filter(({ service }) => service !== candidate.service))
      breakages.push(...findBroken(other, candidate, []));
  }
  const { order, cycles } = findOrder([...services], precedences, listProviders(candidates));
  const blocking = precedences.filter(({ before, after }) =>
    cycles.some((cycle) => cycle.includes(before) && cycle.includes(after)),
  );
  breakages.push(...blocking.flatMap(({ because }) => because));
  return { breakages, order, cycles, notes: listNotes(candidates, running) };
}

/**
 * Checks whether a version that ran before may run again. What it lacks of the public API is a note: else no version that
 * adds a request could be rolled back.
 */
export function checkEarlierVersion(
  earlier: ServiceVersion,
  running: readonly ServiceVersion[],
): ContractCheck {
  const { breakages, notes, ...check } = checkContracts({ candidates: [earlier], running });
  const lost = new Set(breakages.filter(({ consumer }) => !consumer).map(({ name }) => name));
  return {
    ...check,
    breakages: breakages.filter(({ consumer }) => consumer),
    notes: [...notes, ...[...lost].map((name) => `the public API loses or changes ${name}`)],
  };
}

/** What breaks clients of the public API if one version replaces another one. */
function checkPublicApi(before: ServiceVersion, after: ServiceVersion): Breakage[] {
  return comparePublicApi(before.contract, after.contract).map((one) => ({
    ...one,
    consumer: undefined,
    provider: identify(after),
    candidate: after.service,
  }));
}

const identify = ({ service, version }: ServiceVersion) => ({ service, version });

/**
 * What breaks a consumer if it uses this version of a provider.
 * @param before the versions of the provider that are running: a consumer that does not list its uses may use all of them
 */
function findBroken(
  consumer: ServiceVersion,
  provider: ServiceVersion,
  before: readonly ServiceVersion[],
): Breakage[] {
  const { uses } = consumer.contract;
  const owner = provider.contract;
  const found = uses
    ? uses.flatMap((use) =>
        getOwner(use) === provider.service
          ? compareUse(use, owner)
          : compareForeignEvent(use, owner.uses ?? []),
      )
    : consumer.upstream === 'http'
      ? []
      : before
          .flatMap(({ contract }) => listPossibleUses(contract))
          .flatMap((use) => compareUse(use, owner, { keepsFields: true, ignoresUnknownFields: true }));
  return [...found, ...compareFallbacks(consumer.contract, provider)].map((one) => ({
    ...one,
    consumer: identify(consumer),
    provider: identify(provider),
    candidate: provider.service,
    ...(!uses && { isAssumed: true as const }),
  }));
}

const getOwner = ({ name }: { name: string }): string => name.split('.')[0]!;

/** A query that answers for another one while its service does not must have all that the other one has. */
function compareFallbacks({ requests }: ServiceDescription, provider: ServiceVersion): Incompatibility[] {
  return requests.flatMap(({ input, output, http }) => {
    const query = http?.fallback && 'query' in http.fallback ? http.fallback.query : undefined;
    if (query === undefined || getOwner({ name: query }) !== provider.service) return [];
    const use: UseDescription = { name: query, kind: 'query', sends: input, receives: output };
    return compareUse(use, provider.contract, { ignoresUnknownFields: true });
  });
}

/** Which candidates each candidate uses: they are deployed first where nothing else decides. */
function listProviders(candidates: readonly ServiceVersion[]): Map<string, Set<string>> {
  return new Map(
    candidates.map(({ service, contract }) => [
      service,
      new Set((contract.uses ?? []).map(getOwner).filter((owner) => owner !== service)),
    ]),
  );
}

function listNotes(candidates: readonly ServiceVersion[], running: readonly ServiceVersion[]): string[] {
  const present = new Set([...candidates, ...running].map(({ service }) => service));
  return candidates.flatMap(({ service, contract }) => {
    const calls = (contract.uses ?? []).filter((use) => use.kind !== 'event' && !present.has(getOwner(use)));
    const owners = [...new Set(calls.map(getOwner))];
    return owners.map((owner) => `${service} calls ${owner}, of which no version is running`);
  });
}
