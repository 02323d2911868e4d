// For services. Tools that must not load Nest import single files instead: the subpaths in package.json.
export { Announcer } from './announcer.ts';
export { currentCall, withCall, type CallContext, type Caller } from './call-context.ts';
export { Ask, type Guard, type RequestOptions } from './call-options.ts';
export { RabbitClient } from './client.ts';
export { BrokerConnection, RecoveringChannel, within } from './connection.ts';
export { DecryptionKeys, encryptFor, Jwe } from './encryption.ts';
export { Grants } from './grants.ts';
export { getHandledContracts, Handles } from './handles.ts';
export { Instances, type RefusedSender } from './instances.ts';
export { RegistrationProxy } from './registration-proxy.ts';
export { KnownGrants } from './known-grants.ts';
export { listClaimedRoutes, findRefusedRoutes } from './refused-routes.ts';
export { Listener } from './listener.ts';
export { MessageContext } from './message-context.ts';
export { Publisher, Unconfirmed, Unroutable, type Publication } from './publisher.ts';
export { KnownRecipients, type Recipients } from './recipients.ts';
export { VolatileQueueRecord, type QueueRecord } from './queue-record.ts';
export { RabbitServer } from './server.ts';
export type { HandledMessage, Middleware } from './server-options.ts';
export { ServiceKey } from './service-key.ts';
export { Shares, toSplitKey, TrafficSplit, versionFor, type SplitContext, type Splitter } from './split.ts';
export {
  describeMessage,
  noSpans,
  Spans,
  toErrorType,
  type Span,
  type SpanAttributes,
  type SpanStart,
} from './spans.ts';
export { exchanges, queues } from './topology.ts';
export {
  childTrace,
  childTraceparent,
  getSpanId,
  getTraceId,
  readTrace,
  type TraceContext,
} from './trace-context.ts';
export type { Incoming } from './decoding.ts';
export { encodeEvent, encodeRequest, getSubject } from './encoding.ts';
export { BrokerDisconnected, RemoteFault } from './faults.ts';
export { contextHeaders } from './message-headers.ts';
export { publishSoftState } from './soft-state.ts';
