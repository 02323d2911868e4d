import { platformRejection, Rejection, type Access } from '@jogakbo/contract';
import { RabbitClient, RemoteFault, type CallContext, type Caller } from '@jogakbo/messaging';
import { Injectable } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { idempotencyKeyOf, isNoneMatch, locationOf, secondsToWait } from './headers.ts';
import { HttpUpstreams } from './http-upstream.ts';
import { inputOf } from './input.ts';
import { KnownServices } from './known-services.ts';
import { languageOf } from './language.ts';
import type { Route } from './routes.ts';
import { GatewaySettings } from './settings.ts';
import { Tokens } from './tokens.ts';
import { Waiting } from './wait.ts';

type Output = Record<string, unknown>;

/** Takes one request from the door to the service that answers it, and the answer back. */
@Injectable()
export class Forward {
  constructor(
    private readonly services: KnownServices,
    private readonly tokens: Tokens,
    private readonly client: RabbitClient,
    private readonly waiting: Waiting,
    private readonly upstreams: HttpUpstreams,
    private readonly settings: GatewaySettings,
  ) {}

  /** Answers, or throws what `problemOf` knows how to show. */
  async handle(request: FastifyRequest, reply: FastifyReply): Promise<unknown> {
    const match = this.services.table.find(request.method, request.url.split('?', 1)[0]!);
    if (match.found === 'nothing') {
      // A client must not take a route that this gateway has yet to hear of for one that there is not, and give up.
      if (this.services.learning) throw new RemoteFault('unavailable', 'no such route is known yet');
      throw platformRejection('not-found', 'there is no such route');
    }
    if (match.found === 'other-methods') return refuseMethod(request, reply, match.allow);
    const { route, parameters } = match;
    request.facts.route = route.pattern;

    const { authorization } = request.headers;
    const caller = await this.tokens.callerOf(authorization);
    request.facts.memberId = caller?.memberId;
    mustBeAllowed(route.access, caller);
    mustBeRecent(route.http.maxAuthAge, caller);

    if (route.upstream === 'http') {
      return this.upstreams.forward(route, parameters, caller, request, reply);
    }

    const { headers } = request;
    const input = inputOf(route, {
      parameters,
      query: request.query as Output,
      body: request.body,
      ifMatch: headers['if-match'],
    });
    const idempotencyKey = idempotencyKeyOf(route, headers['idempotency-key']);
    if (!this.services.serves(route)) throw new RemoteFault('unavailable', 'nobody serves it now');

    // Nothing of this comes from a header that a stranger could have written, but the trace and the language.
    const context: CallContext = {
      traceparent: request.facts.traceparent,
      language: languageOf(headers['accept-language']),
      ...(caller && { caller }),
      address: request.ip,
    };
    const output = (await this.client.request(route.contract.name, input, {
      context,
      timeout: this.settings.requestTimeout,
      persistent: route.contract.kind === 'command',
      idempotencyKey,
    })) as Output | null;

    describe(route, output, context, reply);
    if (output && isUnchanged(request, reply)) return reply.code(304).send();
    return (await this.#whenEnded(route, output, context, request, reply)) ?? answer(route, output, reply);
  }

  /** The answer of a client that prefers to wait; undefined where it does not, or waited in vain. */
  async #whenEnded(
    { http }: Route,
    output: Output | null,
    context: CallContext,
    request: FastifyRequest,
    reply: FastifyReply,
  ): Promise<unknown> {
    const seconds = http.wait && output ? secondsToWait(request.headers['prefer']) : 0;
    if (!http.wait || !output || seconds === 0) return undefined;
    const gone = new AbortController();
    reply.raw.once('close', () => gone.abort('closed'));
    const ended = await this.waiting.end(http.wait, output, { seconds, context, gone: gone.signal });
    reply.header('preference-applied', `wait=${seconds}`);
    return ended && reply.code(http.wait.status).send(ended);
  }
}

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

/** The headers that speak of the answer. */
function describe(
  { http, access }: Route,
  output: Output | null,
  { language }: CallContext,
  reply: FastifyReply,
): void {
  const isCacheable = access === 'public' && http.method === 'GET';
  // To be kept, but not used without asking: there is nothing yet that would call it back.
  reply.header('cache-control', isCacheable ? 'no-cache' : 'no-store');
  if (!output) return;
  if (!http.document) reply.header('content-language', language).header('vary', 'Accept-Language');
  if (http.etag) reply.header('etag', `"${String(output[http.etag])}.${language}"`);
  if (http.location) reply.header('location', locationOf(http.location, output));
}

function isUnchanged(request: FastifyRequest, reply: FastifyReply): boolean {
  const etag = reply.getHeader('etag');
  const isRead = request.method === 'GET' || request.method === 'HEAD';
  return isRead && typeof etag === 'string' && isNoneMatch(request.headers['if-none-match'], etag);
}

function answer({ http }: Route, output: Output | null, reply: FastifyReply): unknown {
  return output === null ? reply.code(204).send() : reply.code(http.status).send(output);
}
