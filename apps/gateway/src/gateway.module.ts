import { service } from '@jogakbo/contract';
import { ListRevocations, TokensRevoked } from '@jogakbo/contracts-identity';
import { Service } from '@jogakbo/service';
import { Admission } from './admission.ts';
import { Documents } from './documents.ts';
import { Drain } from './drain.ts';
import { Forward } from './forward.ts';
import { HttpUpstreams } from './http-upstream.ts';
import { KnownServices } from './known-services.ts';
import { Load } from './load.ts';
import { MemberAssertions } from './member-assertion.ts';
import { ServicePages } from './pages.ts';
import { PublicReads } from './public-reads.ts';
import { RateLimits } from './rate-limits.ts';
import { ReadyToServe } from './ready-to-serve.ts';
import { RequestLog } from './request-log.ts';
import { Revocations } from './revocations.ts';
import { GatewaySettings } from './settings.ts';
import { Tokens } from './tokens.ts';
import { Completions } from './wait.ts';

@Service({
  contract: service('gateway', 'The public HTTP API.'),
  isGateway: true,
  calls: [ListRevocations],
  listensTo: [TokensRevoked],
  settings: GatewaySettings,
  providers: [
    KnownServices,
    Tokens,
    Revocations,
    Admission,
    Forward,
    HttpUpstreams,
    MemberAssertions,
    ServicePages,
    Completions,
    Documents,
    RateLimits,
    Load,
    PublicReads,
    Drain,
    RequestLog,
    ReadyToServe,
  ],
})
export class GatewayModule {}
