import { afterAll, beforeAll } from '@jest/globals';
import { TwoGateways } from './store-with-two-gateways.ts';
import { liveSettings } from './live-settings.ts';
import { outOfRotation } from './out-of-rotation.ts';
import { withoutRegistryAndConfig } from './registry-and-config-outage.ts';
import { searchOutage } from './sick-reader.ts';
import { twoGateways } from './two-gateways.ts';

// All suites share one store, because its start takes longer than most of them.
const gateways = new TwoGateways();

beforeAll(() => gateways.open(), 300_000);
afterAll(() => gateways.close(), 60_000);

liveSettings(gateways);
twoGateways(gateways);
outOfRotation(gateways);
searchOutage(gateways);
withoutRegistryAndConfig(gateways);
