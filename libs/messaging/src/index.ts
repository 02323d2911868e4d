export {
  childTraceparent,
  currentCall,
  traceIdOf,
  withCall,
  type CallContext,
  type Caller,
} from './call-context.ts';
export { Ask, RabbitClient, type AskOptions, type RequestOptions } from './client.ts';
export { BrokerConnection, BrokerUnavailable } from './connection.ts';
export { Handles } from './handles.ts';
export { Announcer, Instances, Spokesman } from './instances.ts';
export { Listener } from './listener.ts';
export { CallingMember, MessageContext } from './message-context.ts';
export { Publisher, Unroutable, type Outgoing } from './publisher.ts';
export { RabbitServer, type Around, type MadeQueue, type ServerOptions } from './server.ts';
export { assertShared, defaultLadder, exchanges, queues, TopologyMismatch } from './topology.ts';
export { contextHeaders, encodeEvent, encodeRequest, RemoteFault, subjectOf, type Incoming } from './wire.ts';
