import { openEnvironment } from '../deployment/environment.ts';
import { UsageError } from '../terminal/cli-error.ts';

export interface ScaleOptions {
  environment?: string;
}

const maxInstances = 8;

/** `jogakbo scale`: sets the number of instances of a service. */
export async function scale(service: string, count: string, { environment }: ScaleOptions): Promise<number> {
  const number = Number(count);
  // The limits of the login allow eight instances.
  if (!Number.isInteger(number) || number < 1 || number > maxInstances)
    throw new UsageError(`"${count}" must be a number of instances from 1 to ${maxInstances}.`);
  const until = await (await openEnvironment(environment)).scale(service, number);
  console.log(`${service} has ${number} ${number === 1 ? 'instance' : 'instances'}, ${until}.`);
  return 0;
}
