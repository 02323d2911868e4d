import { afterAll, beforeAll } from '@jest/globals';
import { TelemetryCollector } from '@jogakbo/testing/telemetry-collector';
import { invalidPurchase } from './store/invalid-purchase.ts';
import { killedService } from './store/killed-service.ts';
import { operators } from './store/operators.ts';
import { operatorsViews } from './store/operators-views.ts';
import { purchase } from './store/purchase.ts';
import { Store } from '../src/store.ts';
import { traces } from './store/traces.ts';
import { trust } from './store/trust.ts';

// All suites share one store, because its start takes longer than most of them.
const store = new Store();

const collector = new TelemetryCollector();

beforeAll(async () => store.start([], { OTEL_EXPORTER_OTLP_ENDPOINT: await collector.open() }), 180_000);
afterAll(async () => {
  await store.remove();
  await collector.close();
});

purchase(store);
invalidPurchase(store);
killedService(store);
operators(store, collector);
operatorsViews(store);
traces(store, collector);
trust(store);
