import { availableParallelism, loadavg } from 'node:os';

/**
 * How much longer work takes than on an idle machine, at least 1: in proportion to the processes that wait for a processor.
 * Doubled, because the load is an average of a minute.
 */
export const getSlowdown = (): number => Math.max(1, (2 * loadavg()[0]!) / availableParallelism());
