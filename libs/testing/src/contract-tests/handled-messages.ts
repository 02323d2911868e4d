import { setTimeout as sleep } from 'node:timers/promises';
import { platformRejections, type ServiceContract } from '@jogakbo/contract';
import { Metrics } from '@jogakbo/service';
import type { Histogram } from 'prom-client';
import type { DeadLetter } from '../dead-letters.ts';
import { eventually } from '../eventually.ts';
import type { ServiceUnderTest } from '../service-under-test.ts';

/** Milliseconds without a handled message, after which a service is idle: longer than a retry delay of these tests. */
const idleMs = 100;

/** Which messages to count. */
interface CountedMessages {
  /** Of a contract. */
  name?: string;
  outcome?: 'fault';
}

/** How often the service has handled messages, failed attempts included. */
export async function countHandled(
  service: ServiceUnderTest,
  { name, outcome }: CountedMessages = {},
): Promise<number> {
  const metric = service.get(Metrics).registry.getSingleMetric('messages_handled_seconds') as Histogram;
  const { values } = await metric.get();
  return values
    .filter(({ metricName, labels }) => {
      const isCounted = (label: string, wanted?: string) => wanted === undefined || labels[label] === wanted;
      return metricName?.endsWith('_count') && isCounted('message', name) && isCounted('outcome', outcome);
    })
    .reduce((sum, { value }) => sum + value, 0);
}

/** Waits until the service handles no message any more, retries included. */
export async function waitUntilIdle(service: ServiceUnderTest): Promise<void> {
  let last = -1;
  await eventually(async () => {
    const count = await countHandled(service);
    if (count === last) return true;
    last = count;
    await sleep(idleMs);
    return false;
  });
}

/** Whether the service itself rejected the message, such as an event about something that does not exist: no callee did. */
const isOwnRejection = (stack: string): boolean => /^Rejection: .*\n\s+at platformRejection /.test(stack);

/** The errors that a contract permits for a message without a waiting caller. */
const isDeclared = ({ contracts }: ServiceContract, { name, cause, stack }: DeadLetter): boolean => {
  if (cause.startsWith('OutOfOrder:') || isOwnRejection(stack)) return true;
  const contract = contracts.get(name);
  // Its code is not in the dead letter.
  return cause.startsWith('Rejection:') && contract !== undefined && contract.kind !== 'event';
};

/**
 * Describes the dead letters that no contract permits. A rejected request without a waiting caller becomes one, and so does
 * a message about something that does not exist (yet). The rejection of a callee that an event causes must be handled.
 */
export const describeUndeclared = (contract: ServiceContract, letters: readonly DeadLetter[]): string[] =>
  letters
    .filter((one) => !isDeclared(contract, one))
    .map(
      ({ name, cause, stack, data }) =>
        `${name} failed: ${cause}\n  its data: ${JSON.stringify(data)}\n${stack.split('\n').slice(1, 6).join('\n')}`,
    );

export const isPlatformRejection = (code: string): boolean => Object.hasOwn(platformRejections, code);
