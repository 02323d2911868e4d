export {
  accesses,
  getRequiredRole,
  listPolicies,
  type Access,
  type HandlerOutput,
  type AnyCommand,
  type AnyContract,
  type AnyEvent,
  type AnyQuery,
  type AnyRequest,
  type Body,
  type Command,
  type Event,
  type Fallback,
  type HttpBinding,
  type Input,
  type Message,
  type Priority,
  type Query,
  type RateLimit,
  type Reply,
  type ServiceContract,
  priorities,
} from './contract.ts';
export { service } from './declare-service.ts';
export { pathParameters, routesOverlap } from './routes.ts';
export { CallPolicy, CallPolicyChange } from './call-policy.ts';
export {
  Announcement,
  EncryptionKey,
  Heartbeat,
  maxAnnounceInterval,
  maxMadeQueues,
} from './announcement.ts';
export {
  describe,
  jsonSchema,
  RateLimitText,
  type RequestDescription,
  ServiceDescription,
} from './description.ts';
export { isDeeperThan, type JsonSchema } from './json-schema.ts';
export { describeUses, type Uses } from './describe-uses.ts';
export type { MigrationDescription, UseDescription } from './uses.ts';
export { PageAnswer, PageRequest, pageRoutes, type Pages } from './pages.ts';
export { Rejection, platformRejection, platformRejections, type FieldError } from './rejection.ts';
export { replaceFields, sensitive } from './sensitive.ts';
export { lineOfText, multilineText } from './text.ts';
export {
  Id,
  matchesVersion,
  Language,
  DeclaredRole,
  RoleName,
  undeterminedLanguage,
  createPageSchema,
  pageQuery,
  Timestamp,
  toPage,
  Version,
  VersionCondition,
} from './vocabulary.ts';
export { renderAsyncApi, type AsyncApiOptions } from './asyncapi.ts';
export { renderOpenApi, type OpenApiOptions, type OwnRoute } from './openapi.ts';
