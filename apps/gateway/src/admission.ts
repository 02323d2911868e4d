import { platformRejection, Rejection, type Access } from '@jogakbo/contract';
import { RemoteFault, type Caller } from '@jogakbo/messaging';
import { Injectable } from '@nestjs/common';
import { networkOf } from './client-address.ts';
import type { Exchange } from './exchange.ts';
import { withLowerIds } from './ids.ts';
import { KnownServices } from './known-services.ts';
import { Load } from './load.ts';
import { overloaded, sendProblem } from './problem.ts';
import { insistsOnNew } from './public-reads.ts';
import { RateLimits, type Claim } from './rate-limits.ts';
import type { Route } from './routes.ts';
import { GatewaySettings } from './settings.ts';
import { Tokens } from './tokens.ts';

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
    private readonly load: Load,
    private readonly limits: RateLimits,
    private readonly settings: GatewaySettings,
  ) {}

  /**
   * @returns true with `exchange.admitted`, false where it is answered already
   * @throws what `problemOf` knows how to show
   */
  async admits(exchange: Exchange): Promise<boolean> {
    const { method, path, headers } = exchange;
    const match = this.services.table.find(method, path);
    if (match.found === 'route') {
      const { route } = match;
      exchange.route = route.pattern;
      const asks = !route.http.cache || Boolean(headers.authorization) || insistsOnNew(headers);
      if (!this.load.admits(route, asks, exchange)) {
        exchange.isShed = true;
        // Not thrown: that costs as much as an answer.
        sendProblem(exchange, overloaded(exchange.traceId));
        return false;
      }
    }
    const network = networkOf(exchange.address);
    const { rateLimitAddress, rateLimitMember } = this.settings;
    await this.limits.count(exchange, { policy: 'address', limit: rateLimitAddress, key: network });
    if (match.found === 'nothing') {
      // A client must not take a route that this gateway has yet to hear of for one that there is not, and give up.
      if (this.services.learning) throw new RemoteFault('unavailable', 'no such route is known yet');
      throw platformRejection('not-found', 'there is no such route');
    }
    if (match.found === 'other-methods') return refuseMethod(exchange, match.allow);

    const { route } = match;
    // What is sent to pages as authorization is for their service to read: a partner's secret, a token of its own.
    const isAnonymous = route.pages !== undefined || headers.authorization === undefined;
    const caller = isAnonymous ? undefined : await this.tokens.callerOf(authorizationsOf(exchange));
    exchange.memberId = caller?.memberId;
    mustBeAllowed(route.access, caller);
    mustBeRecent(route.http.maxAuthAge, caller);
    const claims: Claim[] = [];
    if (caller) claims.push({ policy: 'member', limit: rateLimitMember, key: caller.memberId });
    if (route.http.limit) {
      const who = caller ? `member ${caller.memberId}` : network;
      claims.push({ policy: 'route', limit: route.http.limit, key: `${route.contract.name} ${who}` });
    }
    if (claims.length > 0) await this.limits.countAll(exchange, claims);
    exchange.admitted = { route, parameters: withLowerIds(match.parameters), caller };
    return true;
  }
}

/** Every header Authorization, not only the first, by which Node would go: something before us may go by the last. */
const authorizationsOf = ({ request }: Exchange): string[] => request.headersDistinct['authorization']!;

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

function refuseMethod(exchange: Exchange, allow: string[]): false {
  const { method } = exchange.header('allow', [...allow, 'OPTIONS'].join(', '));
  if (method !== 'OPTIONS')
    throw new Rejection('method-not-allowed', 405, `${method} is not one of ${allow.join(', ')}`);
  exchange.send(204);
  return false;
}
