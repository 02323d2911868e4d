import { platformRejection, Rejection, type Access, type RateLimit } from '@jogakbo/contract';
import { RemoteFault, type Caller } from '@jogakbo/messaging';
import { Injectable } from '@nestjs/common';
import { toNetwork } from './client-address.ts';
import type { RequestContext } from './request-context.ts';
import { withLowerIds } from './ids.ts';
import { KnownServices } from './known-services.ts';
import { Load } from './load.ts';
import { overloaded, sendProblem } from './problem.ts';
import { insistsOnNew } from './public-reads.ts';
import { RateLimits, type Claim } from './rate-limits.ts';
import { Revocations } from './revocations.ts';
import type { Match, Route } from './routes.ts';
import { GatewaySettings } from './settings.ts';
import { refused, Tokens } from './tokens.ts';

/** What is known of a request that was let in. */
export interface Admitted {
  route: Route;
  parameters: Record<string, string>;
  caller: Caller | undefined;
}

/** Decides whether a request is let in, by nothing but its line and its headers: its body is not read before that. */
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
   * @returns true with `context.admitted`, false where it is answered already
   * @throws what `problemOf` knows how to show
   */
  async admits(context: RequestContext): Promise<boolean> {
    const { method, path, headers } = context;
    const match = this.services.table.find(method, path);
    if (match.found === 'route') {
      const { route } = match;
      context.route = route.pattern;
      const asks = !route.http.cache || Boolean(headers.authorization) || insistsOnNew(headers);
      if (!this.load.admits(route, asks, context)) {
        context.isShed = true;
        // Not thrown: that costs as much as an answer.
        sendProblem(context, overloaded(context.traceId));
        return false;
      }
    }
    await this.#countNetwork(context, match);
    if (match.found === 'registered')
      throw new RemoteFault('unavailable', 'the service of this route has not been heard of yet');
    if (match.found === 'nothing') {
      // A client must not take a route that this gateway has yet to hear of for one that there is not, and give up.
      if (this.services.learning) throw new RemoteFault('unavailable', 'no such route is known yet');
      throw platformRejection('not-found', 'there is no such route');
    }
    if (match.found === 'other-methods') return refuseMethod(context, match.allow);

    const { route } = match;
    // What is sent to pages as authorization is for their service to read: a partner's secret, a token of its own.
    const isAnonymous = route.pages !== undefined || headers.authorization === undefined;
    const caller = isAnonymous ? undefined : await this.#authenticate(context, route.access);
    context.memberId = caller?.memberId;
    mustBeAllowed(route.access, caller);
    mustBeRecent(route.http.maxAuthAge, caller);
    if (caller) await this.#countMember(context, route, caller);
    context.admitted = { route, parameters: withLowerIds(match.parameters), caller };
    return true;
  }

  /**
   * Every request counts for the network it comes from, before anything that it says of itself is looked at: neither a
   * token that is good nor one that is not opens a count of its own.
   * @throws Rejection `too-many-requests`
   */
  #countNetwork(context: RequestContext, match: Match): Promise<void> {
    const network = toNetwork(context.address);
    const claims: Claim[] = [{ policy: 'address', limit: this.settings.rateLimitAddress, key: network }];
    if (match.found === 'route' && match.route.http.limit)
      claims.push(toClaim('route', match.route, match.route.http.limit, network));
    return this.limits.countAll(context, claims);
  }

  /** Beside the network, a member counts wherever it comes from. @throws Rejection `too-many-requests` */
  #countMember(context: RequestContext, route: Route, { memberId }: Caller): Promise<void> {
    const claims: Claim[] = [{ policy: 'member', limit: this.settings.rateLimitMember, key: memberId }];
    const limit = route.http.memberLimit ?? route.http.limit;
    if (limit) claims.push(toClaim('member-route', route, limit, memberId));
    return this.limits.countAll(context, claims);
  }

  /** @throws Rejection `unauthenticated` @throws RemoteFault where a token cannot be checked now */
  async #authenticate(context: RequestContext, access: Access): Promise<Caller> {
    const token = await this.tokens.verify(getAuthorizations(context));
    // After the verification, which may be remembered: what is revoked meanwhile is refused with the next request.
    this.revocations.mustKnow(access === 'public');
    if (this.revocations.isRevoked(token)) throw refused();
    return token.caller;
  }
}

/** The limit that the contract sets for a route, for one of those who use it. */
const toClaim = (policy: Claim['policy'], { contract }: Route, limit: RateLimit, who: string): Claim => ({
  ...{ policy, limit, key: `${contract.name} ${who}` },
});

/** Every header Authorization, not only the first, by which Node would go: something before us may go by the last. */
const getAuthorizations = ({ request }: RequestContext): string[] =>
  request.headersDistinct['authorization']!;

/** Refused by default: what is not named here is nobody's. @throws Rejection */
function mustBeAllowed(access: Access, caller: Caller | undefined): void {
  if (access === 'public') return;
  if (!caller) throw platformRejection('unauthenticated', 'sign in, and send the access token');
  // Whose a thing is only its service knows; it refuses what is not the caller's.
  if (access === 'member' || access === 'owner') return;
  if ((access === 'merchant' || access === 'operator') && caller.roles.includes(access)) return;
  throw platformRejection('forbidden', `this is for the role ${access}`);
}

/** @throws Rejection where the member must prove anew to be it, by signing in */
function mustBeRecent(maxAuthAge: number | undefined, caller: Caller | undefined): void {
  if (maxAuthAge === undefined) return;
  if (Date.now() / 1_000 - (caller?.authTime ?? 0) <= maxAuthAge) return;
  throw platformRejection(
    'step-up-required',
    `sign in again: this needs a sign-in of the last ${maxAuthAge} seconds`,
  );
}

function refuseMethod(context: RequestContext, allow: string[]): false {
  const { method } = context.header('allow', [...allow, 'OPTIONS'].join(', '));
  if (method !== 'OPTIONS')
    throw new Rejection('method-not-allowed', 405, `${method} is not one of ${allow.join(', ')}`);
  context.send(204);
  return false;
}
