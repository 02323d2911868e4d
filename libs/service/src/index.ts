export { listHandledEvents } from './bus.ts';
export { createDataSource } from './data-source.ts';
export { GuardedCalls } from './guarded-calls.ts';
export { Readiness } from './health.ts';
export { Metrics, toExemplarLabels } from './metrics.ts';
export { describeMissingTls, isLoopback } from './network-encryption.ts';
export { serve } from './serve.ts';
export { deriveClientKey } from './config-client.ts';
export { ServiceSettings } from './service-settings.ts';
export { Service, serviceOptions, type ServiceOptions } from './service.ts';
export {
  DatabaseSettings,
  json,
  environmentOnly,
  live,
  PlatformSettings,
  secret,
  settings,
  WrongSettings,
} from './settings.ts';
export { SplitCalls } from './split-calls.ts';
export { start, type RunningService, type StartOptions } from './start.ts';
