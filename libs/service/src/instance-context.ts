import { randomUUIDv7 } from 'node:crypto';
import type { Type } from '@nestjs/common';
import type { Logger } from 'pino';
import { createLog, NestLog } from './log.ts';
import { Metrics } from './metrics.ts';
import { listSettingsClasses, serviceOptions, type ServiceOptions } from './service.ts';
import { ServiceSettings } from './service-settings.ts';
import { PlatformSettings } from './settings.ts';

/** What all parts of one instance share. Nothing of it belongs to the process: several instances can run in one. */
export interface InstanceContext {
  module: Type;
  /** What the module declares with `@Service`. */
  declaration: ServiceOptions;
  /** Name of the service. */
  service: string;
  /** Name of this instance, unique among all instances of all services. */
  instance: string;
  version: string;
  startedAt: string;
  settings: ServiceSettings;
  platform: PlatformSettings;
  log: Logger;
  nestLog: NestLog;
  metrics: Metrics;
}

/** A process that npm did not start, such as a container, and that sets no version: that of all packages of this workspace. */
const defaultVersion = '0.1.0';

/**
 * Reads the settings of a service, and creates its log and its metrics. Keeps no connection open.
 * @param version by default that of the package, if npm started the process
 * @throws WrongSettings
 */
export async function createInstanceContext(
  module: Type,
  environment: NodeJS.ProcessEnv,
  version = environment['npm_package_version'] ?? defaultVersion,
): Promise<InstanceContext> {
  const declaration = serviceOptions(module);
  const service = declaration.contract.name;
  const settings = await ServiceSettings.open(service, listSettingsClasses(module), environment);
  const platform = settings.get(PlatformSettings);
  const instance = `${service}-${randomUUIDv7().slice(-12)}`;
  const log = createLog({ service, instance, level: platform.logLevel });
  settings.onChange(() => (log.level = platform.logLevel));
  if (platform.plaintextNetwork === 'allow')
    log.warn('PLAINTEXT_NETWORK=allow: the broker and the database may be reached without TLS');
  return {
    module,
    declaration,
    service,
    instance,
    version,
    startedAt: new Date().toISOString(),
    settings,
    platform,
    log,
    nestLog: new NestLog(log),
    metrics: new Metrics(service, version),
  };
}
