import {
  getRequiredRole,
  platformRejection,
  Rejection,
  type Access,
  type RateLimit,
} from '@jogakbo/contract';
import { RemoteFault, type Caller } from '@jogakbo/messaging';
import { Injectable } from '@nestjs/common';
import { toNetwork } from './client-address.ts';
import type { RequestContext } from './request-context.ts';
import { lowerPathIds } from './ids.ts';
import { KnownServices } from './known-services.ts';
import { Load } from './load.ts';
import { createOverloadedProblem, sendProblem } from './problem.ts';
import { isNoCache } from './public-reads.ts';
import { RateLimits, type Claim } from './rate-limits.ts';
import { Revocations } from './revocations.ts';
import type { Match, Route } from './routes.ts';
import { GatewaySettings } from './settings.ts';
import { createTokenRejection, Tokens } from './tokens.ts';

/** Admits or rejects a request by its request line and headers, before its body is read. */
@Injectable()
export class Admission {
  constructor(
    private readonly services: KnownServices,
    private readonly tokens: Tokens,
    private readonly revocations: Revocations,
    private readonly load: Load,
    private readonly limits: RateLimits,
    private readonly settings: GatewaySettings,
  ) {}

  /**
   * @returns true and sets `context.admitted`, or false if the response was already sent
   * @throws errors that `toProblem` maps to a response
   */
  async admit(context: RequestContext): Promise<boolean> {
    const { method, path, headers } = context;
    const match = this.services.table.find(method, path);
    if (match.found === 'route') {
      const { route } = match;
      context.route = route.pattern;
      const callsService = !route.http.cache || Boolean(headers.authorization) || isNoCache(headers);
      if (!this.load.tryAdmit(route, callsService, context)) {
        context.isShed = true;
        // Sent, not thrown: an exception costs as much as a normal response.
        sendProblem(context, createOverloadedProblem(context.traceId));
        return false;
      }
    }
    await this.#countNetwork(context, match);
    if (match.found === 'registered')
      throw new RemoteFault('unavailable', 'the service of this route has not announced itself yet');
    if (match.found === 'nothing') {
      // 503, not 404: the service of the route may not have announced itself yet.
      if (this.services.isLearning) throw new RemoteFault('unavailable', 'route discovery is in progress');
      throw platformRejection('not-found', 'no such route');
    }
    if (match.found === 'other-methods') return refuseMethod(context, match.allow);

    const { route } = match;
    // For pages, the service itself reads the Authorization header, such as a client secret or its own token.
    const isAnonymous = route.pages !== undefined || headers.authorization === undefined;
    const caller = isAnonymous ? undefined : await this.#authenticate(context, route.access);
    context.memberId = caller?.memberId;
    mustBeAllowed(route.access, caller);
    mustBeRecent(route.http.maxAuthAge, caller);
    if (caller) await this.#countMember(context, route, caller);
    context.admitted = { route, parameters: lowerPathIds(match.parameters), caller };
    return true;
  }

  /**
   * Counts every request for its client network before its token is read. So changing the token, valid or not, does not
   * reset the count.
   * @throws Rejection `too-many-requests`
   */
  #countNetwork(context: RequestContext, match: Match): Promise<void> {
    const network = toNetwork(context.address);
    const claims: Claim[] = [{ policy: 'address', limit: this.settings.rateLimitAddress, key: network }];
    if (match.found === 'route' && match.route.http.limit)
      claims.push(toClaim('route', match.route, match.route.http.limit, network));
    return this.limits.countAll(context, claims);
  }

  /** Also counts requests per member, independent of the client address. @throws Rejection `too-many-requests` */
  #countMember(context: RequestContext, route: Route, { memberId }: Caller): Promise<void> {
    const claims: Claim[] = [{ policy: 'member', limit: this.settings.rateLimitMember, key: memberId }];
    const limit = route.http.memberLimit ?? route.http.limit;
    if (limit) claims.push(toClaim('member-route', route, limit, memberId));
    return this.limits.countAll(context, claims);
  }

  /** @throws Rejection `unauthenticated` @throws RemoteFault if a token cannot be verified now */
  async #authenticate(context: RequestContext, access: Access): Promise<Caller> {
    const token = await this.tokens.verify(getAuthorizations(context));
    // Checked on every request, because verified tokens are cached.
    this.revocations.mustBeKnown(access === 'public');
    if (this.revocations.isRevoked(token)) throw createTokenRejection();
    return token.caller;
  }
}

/** The contract's rate limit of a route, for one client. */
const toClaim = (policy: Claim['policy'], { contract }: Route, limit: RateLimit, client: string): Claim => ({
  policy,
  limit,
  key: `${contract.name} ${client}`,
});

/** All Authorization headers. Node keeps the first, but a proxy in front of the gateway may use the last. */
const getAuthorizations = ({ request }: RequestContext): string[] =>
  request.headersDistinct['authorization']!;

/** Denies by default. @throws Rejection */
function mustBeAllowed(access: Access, caller: Caller | undefined): void {
  if (access === 'public') return;
  if (!caller) throw platformRejection('unauthenticated', 'sign in and send the access token');
  // The service checks ownership; the gateway does not know the owner of a resource.
  const role = getRequiredRole(access);
  if (role === undefined || caller.roles.includes(role)) return;
  throw platformRejection('forbidden', `requires the role ${role}`);
}

/** @throws Rejection `step-up-required` if the last sign-in is too old */
function mustBeRecent(maxAuthAge: number | undefined, caller: Caller | undefined): void {
  if (maxAuthAge === undefined) return;
  if (Date.now() / 1_000 - (caller?.authTime ?? 0) <= maxAuthAge) return;
  throw platformRejection(
    'step-up-required',
    `sign in again: this requires a sign-in within the last ${maxAuthAge} seconds`,
  );
}

function refuseMethod(context: RequestContext, allow: string[]): false {
  const { method } = context.header('allow', [...allow, 'OPTIONS'].join(', '));
  if (method !== 'OPTIONS')
    throw new Rejection('method-not-allowed', 405, `${method} is not allowed here, only ${allow.join(', ')}`);
  context.send(204);
  return false;
}
