import type { ShiftCalls } from '@jogakbo/delivery/src/engine.ts';
import { asOperator } from '../commands/operator-client.ts';
import { openState } from '../supervisor/state.ts';
import { shiftCalls } from './traffic-split.ts';

/**
 * Splits the calls of services on the bus, through the gateway at `url`. Each change has a session of its own: a rollout may
 * take longer than a session. The gateway itself is called directly, so its calls are shared evenly.
 */
export function createShift(url: string | undefined): ShiftCalls {
  return async (release, percent) => {
    if (url === undefined || release.service === 'gateway') return false;
    await asOperator(openState(), (client) => shiftCalls(client, release, percent), url);
    return true;
  };
}
