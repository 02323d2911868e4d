import { afterAll, beforeAll } from '@jest/globals';
import { TwoGateways } from './store-with-two-gateways.ts';
import { liveSettings } from './live-settings.ts';
import { missedByNobody } from './missed-by-nobody.ts';
import { outOfRotation } from './out-of-rotation.ts';
import { sickReader } from './sick-reader.ts';
import { twoGateways } from './two-gateways.ts';

// One store for all of them: to start one takes longer than most of what is done to it.
const gateways = new TwoGateways();

beforeAll(() => gateways.open(), 300_000);
afterAll(() => gateways.close(), 60_000);

liveSettings(gateways);
twoGateways(gateways);
outOfRotation(gateways);
sickReader(gateways);
missedByNobody(gateways);
