export {
  decodeTraces,
  UnreadableTelemetry,
  type Attributes,
  type AttributeValue,
  type OtlpEncoding,
  type ReceivedSpan,
  type ReceivedTraces,
} from './decode-traces.ts';
