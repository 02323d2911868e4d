import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { type AnyRequest, type ServiceContract } from '@jogakbo/contract';
import { ReadSettings } from '@jogakbo/contracts-config';
import { GetJwks, ListRevocations } from '@jogakbo/contracts-identity';
import { type BusDescription } from '@jogakbo/messaging/grants';
import { findStubProblems, type Stub, stub, stubWithExample, stubWithFailure } from '@jogakbo/testing/stubs';
import { toMessage } from '../terminal/cli-error.ts';
import { type App } from '../workspace.ts';
import { listContractFolders, loadContract } from './contracts.ts';

/** How the answer of a stub is determined, as shown to people. */
export type StubOrigin = 'example' | 'stubs.ts' | '--stub' | 'development key';

export interface StubbedRequest {
  contract: AnyRequest;
  stub: Stub;
  origin: StubOrigin;
}

/** A service that is stubbed: the requests that are answered, and the events that can be published in its name. */
export interface StubbedService {
  contract: ServiceContract;
  requests: StubbedRequest[];
  /** Names. */
  events: string[];
}

export interface StubSet {
  services: StubbedService[];
  /** One line each; the stubs must not be used. */
  problems: string[];
}

export interface StubSetOptions {
  app: Pick<App, 'name' | 'folder'>;
  bus: BusDescription;
  /** By request: a rejection code, `fault` or `timeout`. */
  failures: Readonly<Record<string, string>>;
  /** The public keys that verify development tokens. */
  keys: readonly object[];
}

export const getStubsFile = ({ folder }: Pick<App, 'folder'>): string => join(folder, 'stubs.ts');

/**
 * Determines the stubs that a service needs to run alone: of each request that it calls, with an example as the answer, or
 * what `apps/<service>/stubs.ts` and the command line say. The config server is not stubbed: without it, settings come from
 * the environment and the defaults.
 * @param again a query such as `?2`, which changes with each import of a changed file: Node keeps imported modules
 */
export async function loadStubSet(options: StubSetOptions, again = ''): Promise<StubSet> {
  const { app, bus } = options;
  const contracts = await loadContracts(app.name, bus);
  const wanted = new Set(listWantedRequests(app.name, bus, contracts));
  const problems = [...wanted].filter((name) => !findRequest(contracts, name)).map(describeMissing);
  const requests = [...wanted].flatMap((name) => findRequest(contracts, name) ?? []);
  const { stubs: own, problem } = await importStubs(app, again);
  problems.push(...(problem ? [problem] : []), ...(await findStubProblems(own, requests)));
  const failing = resolveFailures(options.failures, requests, problems);
  if (problems.length > 0) return { services: [], problems };
  const services = contracts.map((contract) => ({
    contract,
    requests: requests
      .filter(({ service }) => service === contract.name)
      .flatMap((request) => {
        try {
          return [chooseStub(request, own, failing, options.keys)];
        } catch (error) {
          problems.push(`${toMessage(error)}: add its answer to ${getStubsFile(app)}`);
          return [];
        }
      }),
    events: bus.subscribesTo.filter((name) => getService(name) === contract.name),
  }));
  return { services, problems };
}

const describeMissing = (name: string): string =>
  `${name} is called, but libs/contracts/${name.split('.')[0]} does not declare it`;

const getService = (name: string): string => name.split('.')[0]!;

/** The contracts of all services that it calls or listens to; for the gateway, of every service. */
async function loadContracts(own: string, { calls, subscribesTo, isGateway }: BusDescription) {
  const named = [...calls, ...subscribesTo].map(getService);
  // Its clients need tokens: the keys that verify them are those of identity.
  const all = new Set([...named, GetJwks.service, ...(isGateway ? listContractFolders() : [])]);
  const others = [...all].filter((name) => name !== own && name !== ReadSettings.service).sort();
  const loaded = await Promise.all(others.map(loadContract));
  return loaded.filter((one) => one !== undefined);
}

function listWantedRequests(
  own: string,
  { calls, isGateway }: BusDescription,
  contracts: readonly ServiceContract[],
): string[] {
  const offered = isGateway
    ? contracts.flatMap((contract) =>
        [...contract.contracts.values()].filter(
          (one) => one.kind !== 'event' && (one.http ?? one.standsInFor),
        ),
      )
    : [];
  const signIn = own === GetJwks.service ? [] : [GetJwks, ListRevocations];
  const called = calls.filter((name) => getService(name) !== ReadSettings.service);
  return [...called, ...[...offered, ...signIn].map(({ name }) => name)];
}

function findRequest(contracts: readonly ServiceContract[], name: string): AnyRequest | undefined {
  const found = contracts.find((one) => one.name === getService(name))?.contracts.get(name);
  return found && found.kind !== 'event' ? found : undefined;
}

async function importStubs(
  app: Pick<App, 'name' | 'folder'>,
  again: string,
): Promise<{ stubs: Stub[]; problem?: string }> {
  const file = getStubsFile(app);
  if (!existsSync(file)) return { stubs: [] };
  try {
    const { default: stubs } = (await import(`${pathToFileURL(file).href}${again}`)) as { default: unknown };
    if (Array.isArray(stubs)) return { stubs: stubs as Stub[] };
    return { stubs: [], problem: `${file} must export a list of stubs by default` };
  } catch (error) {
    return { stubs: [], problem: `${file} cannot be loaded: ${toMessage(error)}` };
  }
}

function resolveFailures(
  failures: Readonly<Record<string, string>>,
  requests: readonly AnyRequest[],
  problems: string[],
): Map<string, Stub> {
  const resolved = new Map<string, Stub>();
  for (const [name, failure] of Object.entries(failures)) {
    const request = requests.find((one) => one.name === name);
    try {
      if (!request)
        throw new Error(
          `--stub ${name}: it is not called; use one of ${requests.map((one) => one.name).join(', ')}`,
        );
      resolved.set(name, stubWithFailure(request, failure));
    } catch (error) {
      problems.push(toMessage(error));
    }
  }
  return resolved;
}

/** @throws Error if no example can be generated */
function chooseStub(
  contract: AnyRequest,
  own: readonly Stub[],
  failing: ReadonlyMap<string, Stub>,
  keys: readonly object[],
): StubbedRequest {
  const failure = failing.get(contract.name);
  if (failure) return { contract, stub: failure, origin: '--stub' };
  const chosen = own.find((one) => one.contract.name === contract.name);
  if (chosen) return { contract, stub: chosen, origin: 'stubs.ts' };
  if (contract.name === GetJwks.name)
    return { contract, stub: stub(GetJwks, { keys: [...keys] as never }), origin: 'development key' };
  if (contract.name === ListRevocations.name) {
    const none = stub(ListRevocations, { revocations: [], revokedUntil: null });
    return { contract, stub: none, origin: 'development key' };
  }
  return { contract, stub: stubWithExample(contract), origin: 'example' };
}
