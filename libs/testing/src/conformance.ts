import { afterEach, beforeEach, describe } from '@jest/globals';
import { delivery } from './conformance/delivery.ts';
import { type Harness } from './conformance/harness.ts';
import { load } from './conformance/load.ts';
import { requests } from './conformance/requests.ts';

export type { DeadLettered, Handlers, Harness, ServedService } from './conformance/harness.ts';

/**
 * Defines the jest tests that every transport of this shape must pass.
 * @param name of the transport
 * @param open makes a fresh harness for each test
 */
export function conformance(name: string, open: () => Promise<Harness>): void {
  describe(`${name} conforms:`, () => {
    let harness: Harness;
    beforeEach(async () => {
      harness = await open();
    });
    afterEach(() => harness.close());

    requests(() => harness);
    delivery(() => harness);
    load(() => harness);
  });
}
