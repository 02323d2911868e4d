import { ControlClient } from '../supervisor/control-client.ts';
import { openState } from '../supervisor/state.ts';
import { UsageError } from '../terminal/cli-error.ts';
import { findReadyStore } from './operator-client.ts';

const maxInstances = 8;

/** `jogakbo scale`: sets the number of instances of a service, until the store stops. */
export async function scale(service: string, count: string): Promise<number> {
  const state = openState();
  const number = Number(count);
  // The limits of the login allow eight instances.
  if (!Number.isInteger(number) || number < 1 || number > maxInstances)
    throw new UsageError(`"${count}" must be a number of instances from 1 to ${maxInstances}.`);
  findReadyStore(state);
  const control = await ControlClient.open(state);
  try {
    await control.scale(service, number);
    console.log(`${service} has ${number} ${number === 1 ? 'instance' : 'instances'}.`);
    return 0;
  } finally {
    control.close();
  }
}
