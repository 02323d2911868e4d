export { Readiness } from './health.ts';
export { Metrics } from './metrics.ts';
export { serve } from './serve.ts';
export { Service, serviceOptions, type ServiceOptions } from './service.ts';
export { DatabaseSettings, PlatformSettings, settings, WrongSettings } from './settings.ts';
export { createDataSource, start, type RunningService, type StartOptions } from './start.ts';
