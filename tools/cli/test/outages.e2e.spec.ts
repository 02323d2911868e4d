import { afterAll, beforeAll } from '@jest/globals';
import { Doors } from './doors.ts';
import { liveSettings } from './live-settings.ts';
import { missedByNobody } from './missed-by-nobody.ts';
import { outOfRotation } from './out-of-rotation.ts';
import { sickReader } from './sick-reader.ts';
import { twoGateways } from './two-gateways.ts';

// One store for all of them: to start one takes longer than most of what is done to it.
const doors = new Doors();

beforeAll(() => doors.open(), 300_000);
afterAll(() => doors.close(), 60_000);

liveSettings(doors);
twoGateways(doors);
outOfRotation(doors);
sickReader(doors);
missedByNobody(doors);
