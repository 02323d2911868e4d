import { randomUUIDv7 } from 'node:crypto';
import { openTelemetry, type Telemetry } from '@jogakbo/observability';
import type { Type } from '@nestjs/common';
import type { Logger } from 'pino';
import { createLog, NestLog } from './log.ts';
import { Metrics } from './metrics.ts';
import { listSettingsClasses, serviceOptions, type ServiceOptions } from './service.ts';
import { ServiceSettings } from './service-settings.ts';
import { readServiceVersion } from './service-version.ts';
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
  /** Undefined if no collector is set. */
  telemetry: Telemetry | undefined;
}

/**
 * Reads the settings of a service, and creates its log and its metrics. Keeps no connection open.
 * @param version by default SERVICE_VERSION, or that of the artefact or the package
 * @throws WrongSettings
 */
export async function createInstanceContext(
  module: Type,
  environment: NodeJS.ProcessEnv,
  version?: string,
): Promise<InstanceContext> {
  const declaration = serviceOptions(module);
  const service = declaration.contract.name;
  const settings = await ServiceSettings.open(service, listSettingsClasses(module), environment);
  const platform = settings.get(PlatformSettings);
  const runningVersion = version ?? readServiceVersion(service, environment);
  const instance = `${service}-${randomUUIDv7().slice(-12)}`;
  const telemetry = await openOwnTelemetry(platform, { service, version: runningVersion, instance });
  const log = createLog({ service, instance, level: platform.logLevel }, undefined, telemetry?.logs);
  settings.onChange(() => (log.level = platform.logLevel));
  if (platform.plaintextNetwork === 'allow')
    log.warn('PLAINTEXT_NETWORK=allow: the broker and the database may be reached without TLS');
  const metrics = new Metrics(service, runningVersion);
  if (telemetry) metrics.exportTo(telemetry);
  return {
    module,
    declaration,
    service,
    instance,
    version: runningVersion,
    startedAt: new Date().toISOString(),
    settings,
    platform,
    log,
    nestLog: new NestLog(log),
    metrics,
    telemetry,
  };
}

async function openOwnTelemetry(
  { otelExporterOtlpEndpoint, otelExporterOtlpHeaders, otelMetricExportInterval }: PlatformSettings,
  names: { service: string; version: string; instance: string },
): Promise<Telemetry | undefined> {
  if (!otelExporterOtlpEndpoint) return undefined;
  return openTelemetry({
    ...names,
    endpoint: otelExporterOtlpEndpoint,
    headers: otelExporterOtlpHeaders ?? {},
    exportMetricsEvery: otelMetricExportInterval,
  });
}
