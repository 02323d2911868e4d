export { openTelemetry, type Telemetry, type TelemetryOptions } from './telemetry.ts';
export type { ParentTrace, RecordedSpan, SpanRecorder, StartedSpan } from './span-recorder.ts';
