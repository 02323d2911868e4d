export { Announcer } from './announcer.ts';
export { currentCall, withCall, type CallContext, type Caller } from './call-context.ts';
export { Ask, RabbitClient, type Guard, type RequestOptions } from './client.ts';
export { BrokerConnection } from './connection.ts';
export { DecryptionKeys, encryptFor, Jwe } from './encryption.ts';
export { Grants } from './grants.ts';
export { getHandledContracts, Handles } from './handles.ts';
export { Instances, RegistrationProxy, type RefusedSender } from './instances.ts';
export { KnownGrants } from './known-grants.ts';
export { listClaimedRoutes, findRefusedRoutes } from './refused-routes.ts';
export { Listener } from './listener.ts';
export { MessageContext } from './message-context.ts';
export { Publisher, Unroutable, type Outgoing } from './publisher.ts';
export { KnownRecipients, type Recipients } from './recipients.ts';
export { VolatileQueueRecord, type QueueRecord } from './queue-record.ts';
export { RabbitServer, type Middleware, type HandledMessage } from './server.ts';
export { ServiceKey } from './service-key.ts';
export { Shares, toSplitKey, TrafficSplit, versionFor, type SplitContext, type Splitter } from './split.ts';
export { exchanges, queues } from './topology.ts';
export { childTrace, childTraceparent, getTraceId, type TraceContext } from './trace-context.ts';
export {
  BrokerDisconnected,
  contextHeaders,
  encodeEvent,
  encodeRequest,
  RemoteFault,
  getSubject,
  type Incoming,
} from './wire.ts';
