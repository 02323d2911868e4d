export { aggregate, TooEarly, type Aggregate } from './aggregate.ts';
export { Consistency1700000000000 } from './consistency.migration.ts';
export { EventStore1700000000500 } from './event-store.migration.ts';
export {
  append,
  change,
  history,
  load,
  nothing,
  VersionConflict,
  type Loaded,
  type Recorded,
} from './event-store.ts';
export { LostQueues } from './lost-queues.ts';
export { OutboxRelay, type RelayOptions } from './outbox-relay.ts';
export { erase } from './personal-data.ts';
export { projection, type Happened, type Projection } from './projection.ts';
export { Projector } from './projector.ts';
export { requestRebuild } from './rebuild.ts';
export { SagaRunner } from './saga-runner.ts';
export { end, minutes, saga, to, type Saga, type Step } from './saga.ts';
export { UnitOfWork, type WorkOptions } from './unit-of-work.ts';
export { UnitsOfWork } from './units-of-work.ts';
