// Prints the stubs that a service needs as JSON (StubPlan). A process of its own, because Node loads a module only once: each
// run sees the current contracts. Usage: node describe-stubs.ts <service> <StubInput as JSON>
import { describeContracts } from '@jogakbo/messaging/describe-contracts';
import { type BusDescription } from '@jogakbo/messaging/grants';
import { readBus } from '../bus-descriptions.ts';
import { selectApps } from '../supervisor/start-options.ts';
import { loadStubSet, type StubbedService, type StubOrigin } from './stub-set.ts';

export interface StubPlan {
  services: PlannedStub[];
  problems: string[];
}

export interface PlannedStub {
  service: string;
  /** For the deploy step. */
  description: BusDescription;
  requests: { name: string; origin: StubOrigin }[];
  events: string[];
}

export interface StubInput {
  failures: Record<string, string>;
  keys: object[];
}

const plan = ({ contract, requests, events }: StubbedService): PlannedStub => ({
  service: contract.name,
  description: {
    service: contract.name,
    contracts: describeContracts(contract),
    calls: [],
    subscribesTo: [],
    publishes: [],
    isGateway: false,
  },
  requests: requests.map(({ contract: { name }, origin }) => ({ name, origin })),
  events,
});

if (import.meta.main) {
  const [name, input] = process.argv.slice(2) as [string, string];
  const [app] = selectApps([name]);
  const { services, problems } = await loadStubSet({
    app: app!,
    bus: readBus(app!)!,
    ...(JSON.parse(input) as StubInput),
  });
  console.log(JSON.stringify({ services: services.map(plan), problems } satisfies StubPlan));
}
