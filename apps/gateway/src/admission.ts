import { platformRejection, Rejection, type Access } from '@jogakbo/contract';
import { RemoteFault, type Caller } from '@jogakbo/messaging';
import { Injectable } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { networkOf } from './client-address.ts';
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

declare module 'fastify' {
  interface FastifyRequest {
    admitted: Admitted;
  }
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

  /** Returns with `request.admitted`, answers, or throws what `problemOf` knows how to show. */
  async admit(request: FastifyRequest, reply: FastifyReply): Promise<unknown> {
    const { facts, method, headers } = request;
    const match = this.services.table.find(method, request.url.split('?', 1)[0]!);
    if (match.found === 'route') {
      const { route } = match;
      facts.route = route.pattern;
      const asks = !route.http.cache || Boolean(headers.authorization) || insistsOnNew(headers);
      if (!this.load.admits(route, asks, reply)) {
        facts.isShed = true;
        // Not thrown: that costs as much as an answer.
        return sendProblem(reply, overloaded(facts.traceId));
      }
    }
    const network = networkOf(facts.address);
    const { rateLimitAddress, rateLimitMember } = this.settings;
    await this.limits.count(reply, [{ policy: 'address', limit: rateLimitAddress, key: network }]);
    if (match.found === 'nothing') {
      // A client must not take a route that this gateway has yet to hear of for one that there is not, and give up.
      if (this.services.learning) throw new RemoteFault('unavailable', 'no such route is known yet');
      throw platformRejection('not-found', 'there is no such route');
    }
    if (match.found === 'other-methods') return refuseMethod(request, reply, match.allow);

    const { route, parameters } = match;
    // What is sent to pages as authorization is for their service to read: a partner's secret, a token of its own.
    const caller = route.pages ? undefined : await this.tokens.callerOf(authorizationsOf(request));
    facts.memberId = caller?.memberId;
    mustBeAllowed(route.access, caller);
    mustBeRecent(route.http.maxAuthAge, caller);
    const claims: Claim[] = [];
    if (caller) claims.push({ policy: 'member', limit: rateLimitMember, key: caller.memberId });
    if (route.http.limit) {
      const who = caller ? `member ${caller.memberId}` : network;
      claims.push({ policy: 'route', limit: route.http.limit, key: `${route.contract.name} ${who}` });
    }
    if (claims.length > 0) await this.limits.count(reply, claims);
    request.admitted = { route, parameters, caller };
    return undefined;
  }
}

/** Every header Authorization, not only the first, by which Node would go: something before us may go by the last. */
const authorizationsOf = ({ headers, raw }: FastifyRequest): string[] =>
  headers.authorization === undefined ? [] : raw.headersDistinct['authorization']!;

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

function refuseMethod(request: FastifyRequest, reply: FastifyReply, allow: string[]): unknown {
  reply.header('allow', [...allow, 'OPTIONS'].join(', '));
  if (request.method === 'OPTIONS') return reply.code(204).send();
  throw new Rejection('method-not-allowed', 405, `${request.method} is not one of ${allow.join(', ')}`);
}
