import type { RunningService } from './start.ts';

/** Starts one of several services of this process. */
export type ServiceHost = (
  service: string,
  start: (environment: NodeJS.ProcessEnv) => Promise<RunningService>,
) => void | Promise<void>;

// Each main.js contains its own copy of this library, so a variable of this module would not be the same one.
const key = Symbol.for('jogakbo.service-host');
const shared = globalThis as { [key]?: ServiceHost };

/**
 * The host of this process, if it runs several services: dense mode. It sets itself before it imports their main.js, each
 * of which then hands over its service instead of reading the environment and the arguments of the process.
 */
export const getServiceHost = (): ServiceHost | undefined => shared[key];
