export { decodeLogs, severities, type ReceivedLog, type ReceivedLogs, type Severity } from './decode-logs.ts';
export { decodeMetrics, type Exemplar, type ReceivedMetrics, type ReceivedPoint } from './decode-metrics.ts';
export { decodeTraces, type ReceivedSpan, type ReceivedTraces } from './decode-traces.ts';
export { UnreadableTelemetry, type Attributes, type AttributeValue, type OtlpEncoding } from './wire.ts';
