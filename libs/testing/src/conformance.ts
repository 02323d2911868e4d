import { afterEach, beforeEach, describe } from '@jest/globals';
import { testDelivery } from './conformance/delivery.ts';
import { type Harness } from './conformance/harness.ts';
import { testLoad } from './conformance/load.ts';
import { testRequests } from './conformance/requests.ts';

export type { DeadLettered, Handlers, Harness, ServedService } from './conformance/harness.ts';

/**
 * Defines the jest tests that every transport must pass.
 * @param name of the transport
 * @param open creates a new harness for each test
 */
export function testConformance(name: string, open: () => Promise<Harness>): void {
  describe(`${name} conforms:`, () => {
    let harness: Harness;
    beforeEach(async () => {
      harness = await open();
    });
    afterEach(() => harness.close());

    testRequests(() => harness);
    testDelivery(() => harness);
    testLoad(() => harness);
  });
}
