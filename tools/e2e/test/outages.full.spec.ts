import { afterAll, beforeAll } from '@jest/globals';
import { TwoGateways } from './outages/store-with-two-gateways.ts';
import { liveSettings } from './outages/live-settings.ts';
import { outOfRotation } from './outages/out-of-rotation.ts';
import { withoutRegistryAndConfig } from './outages/registry-and-config-outage.ts';
import { searchOutage } from './outages/sick-reader.ts';
import { twoGateways } from './outages/two-gateways.ts';

// All suites share one store, because its start takes longer than most of them.
const gateways = new TwoGateways();

beforeAll(() => gateways.open(), 300_000);
afterAll(() => gateways.close(), 60_000);

liveSettings(gateways);
twoGateways(gateways);
outOfRotation(gateways);
searchOutage(gateways);
withoutRegistryAndConfig(gateways);
