import { ControlClient } from '../supervisor/control-client.ts';
import { openState } from '../supervisor/state.ts';
import { UsageError } from '../terminal/cli-error.ts';
import { findReadyStore } from './operator-client.ts';

/** `jogakbo restart`: restarts the process of a service, in dense mode the service in it, and waits until it is ready. */
export async function restart(name: string): Promise<number> {
  const state = openState();
  const run = findReadyStore(state);
  const names = run.services.map((service) => service.name);
  if (!names.includes(name)) {
    throw new UsageError(`The running store has no service called ${name}.`, {
      remedies: [`one of ${names.join(', ')}`],
    });
  }
  const control = await ControlClient.open(state);
  try {
    await control.restart(name);
    console.log(`${name} is ready again.`);
    if (run.dense)
      console.log(
        'In dense mode it still runs the code that the process loaded at its start. To run changed code, start the store again.',
      );
    return 0;
  } finally {
    control.close();
  }
}
