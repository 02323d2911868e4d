export { Consistency1700000000000 } from './consistency.migration.ts';
export { OutboxRelay, type RelayOptions } from './outbox-relay.ts';
export { SagaRunner } from './saga-runner.ts';
export { end, minutes, saga, to, type Saga, type Step } from './saga.ts';
export { UnitOfWork, type WorkOptions } from './unit-of-work.ts';
export { UnitsOfWork } from './units-of-work.ts';
