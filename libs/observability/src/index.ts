export type { MetricFamily } from './metric-exporter.ts';
export { openTelemetry, type Telemetry } from './telemetry.ts';
