import { setTimeout as sleep } from 'node:timers/promises';
import {
  Id,
  matchesVersion,
  platformRejection,
  service,
  VersionCondition,
  type Body,
  type Language,
} from '@jogakbo/contract';
import { Handles, RabbitClient, type CallContext, type MessageContext } from '@jogakbo/messaging';
import { Service } from '@jogakbo/service';
import { Controller } from '@nestjs/common';
import { z } from 'zod';

/** A service with one route of every kind. The gateway learns its routes from announcements only. */
export const demo = service('demo', 'Test routes for the gateway.');

const Thing = z.object({ thingId: z.uuid(), text: z.string(), version: z.int() });

export const ListThings = demo.query('list-things', {
  input: z.strictObject({
    limit: z.int().min(1).max(100).default(20),
    sold: z.boolean().optional(),
    tag: z.array(z.string()).optional(),
    name: z.string().optional(),
    id: Id.optional(),
  }),
  output: z.object({ seen: z.unknown(), language: z.string() }),
  http: 'GET /v1/things',
  access: 'public',
  priority: 'low',
});
export const GetSums = demo.query('get-sums', {
  input: z.strictObject({ a: z.int(), b: z.int() }),
  output: z.object({ a: z.int(), b: z.int() }),
  http: 'GET /v1/sums',
  access: 'public',
  priority: 'low',
});
export const GetThing = demo.query('get-thing', {
  input: z.strictObject({ thingId: z.uuid() }),
  output: Thing,
  http: { route: 'GET /v1/things/{thingId}', etag: 'version' },
  access: 'public',
  priority: 'low',
});
export const ChangeThing = demo.command('change-thing', {
  input: z.strictObject({ thingId: z.uuid(), version: VersionCondition, text: z.string().min(1) }),
  output: Thing,
  rejections: { 'version-changed': 412 },
  http: { route: 'PATCH /v1/things/{thingId}', ifMatch: 'version', etag: 'version' },
  access: 'moderator',
  priority: 'high',
});
export const RemoveThing = demo.command('remove-thing', {
  input: z.strictObject({ thingId: z.uuid() }),
  http: 'DELETE /v1/things/{thingId}',
  access: 'operator',
});
export const Detonate = demo.command('detonate', {
  input: z.strictObject({}),
  http: { route: 'POST /v1/detonations', maxAuthAge: 300 },
  access: 'operator',
});
export const GetMe = demo.query('get-me', {
  input: z.strictObject({}),
  output: z.object({ memberId: z.string(), sessionId: z.string().optional(), language: z.string() }),
  http: 'GET /v1/me',
  access: 'member',
});
export const GetOwn = demo.query('get-own', {
  input: z.strictObject({ ownerId: z.string() }),
  output: z.object({ yours: z.boolean() }),
  http: 'GET /v1/owned/{ownerId}',
  access: 'owner',
});
export const GetJwks = demo.query('get-jwks', {
  input: z.strictObject({}),
  output: z.object({ keys: z.array(z.record(z.string(), z.unknown())) }),
  http: { route: 'GET /.well-known/jwks.json', document: true },
  access: 'public',
  priority: 'low',
});
export const Fail = demo.command('fail', {
  input: z.strictObject({ how: z.enum(['throw', 'hang']) }),
  http: 'POST /v1/failures',
  access: 'public',
});
export const Inside = demo.query('inside', {
  input: z.strictObject({}),
  output: z.object({ secret: z.string() }),
});

/** A cacheable response, the same for all callers. */
export const GetCounter = demo.query('get-counter', {
  input: z.strictObject({ takes: z.int().default(0), note: z.string().max(5_000).optional() }),
  output: z.object({ count: z.int(), language: z.string(), note: z.string().optional() }),
  http: { route: 'GET /v1/counter', cache: { maxAge: 1 } },
  access: 'public',
  priority: 'low',
});
export const CountUp = demo.command('count-up', {
  input: z.strictObject({}),
  output: z.object({ count: z.int() }),
  http: { route: 'POST /v1/counter', limit: '5/hour', memberLimit: '3/hour' },
  access: 'public',
});
/** Responds after `takes` milliseconds. */
export const Browse = demo.query('browse', {
  input: z.strictObject({ takes: z.int() }),
  output: z.object({ done: z.boolean() }),
  http: 'GET /v1/slow',
  access: 'public',
  priority: 'low',
});
export const Buy = demo.command('buy', {
  input: z.strictObject({ takes: z.int(), note: z.unknown().optional() }),
  output: z.object({ done: z.boolean() }),
  http: 'POST /v1/slow',
  access: 'member',
  priority: 'high',
});

export const JobEnded = demo.event('job-ended', z.object({ jobId: z.uuid() }), { subject: 'jobId' });
export const GetJobOutcome = demo.query('get-job-outcome', {
  input: z.strictObject({ jobId: z.uuid() }),
  output: z.object({ jobId: z.uuid(), status: z.string(), result: z.string().optional() }),
});
/** Contains every field that `get-job-outcome` returns. */
export const JobFinished = demo.event(
  'job-finished',
  z.object({ jobId: z.uuid(), status: z.literal('finished'), result: z.string(), cost: z.int() }),
  { subject: 'jobId' },
);
export const BeginJob = demo.command('begin-job', {
  input: z.strictObject({
    lines: z.array(z.strictObject({ quantity: z.int().min(1).max(9) })).min(1),
    /** Milliseconds until the job ends. Undefined: it never ends. */
    takes: z.int().optional(),
    /** True: no event is published when the job ends. */
    silent: z.boolean().optional(),
    /** True: the end is published as an event only, and queries do not return it. */
    announcedOnly: z.boolean().optional(),
    /** True: the event is `job-finished`, which contains the complete outcome. */
    told: z.boolean().optional(),
    token: z.string().optional(),
  }),
  output: z.object({ jobId: z.uuid(), status: z.string() }),
  rejections: { 'unknown-token': 422 },
  idempotency: 'required',
  http: {
    route: 'POST /v1/jobs',
    status: 202,
    location: '/v1/jobs/{jobId}',
    wait: { key: 'jobId', until: [JobEnded, JobFinished], answer: GetJobOutcome, status: 201 },
  },
  access: 'member',
  priority: 'high',
});

/** State of the demo service. Tests read and change it. */
export const demoState = {
  keys: [] as Record<string, unknown>[],
  jobs: new Map<string, string>(),
  begun: [] as { key: string | undefined; input: unknown }[],
  contexts: [] as CallContext[],
  count: 0,
  counterCalls: 0,
  slowCalls: 0,
};

@Controller()
export class DemoHandler {
  constructor(private readonly client: RabbitClient) {}

  @Handles(ListThings)
  async list(body: Body<typeof ListThings>, { language, incoming }: MessageContext) {
    demoState.contexts.push(incoming.callContext);
    return { seen: body, language };
  }

  @Handles(GetSums)
  async sums(numbers: Body<typeof GetSums>) {
    return numbers;
  }

  @Handles(GetThing)
  async get({ thingId }: Body<typeof GetThing>, { language }: MessageContext) {
    if (thingId.endsWith('0')) throw platformRejection('not-found', 'there is no such thing');
    // 1,000 repetitions exceed the minimum size for compression.
    const times = thingId.endsWith('f') ? 1_000 : 1;
    return { thingId, text: hello[language]!.repeat(times), version: 3 };
  }

  @Handles(ChangeThing)
  async change({ thingId, version, text }: Body<typeof ChangeThing>) {
    if (!matchesVersion(version, 3)) throw ChangeThing.reject('version-changed', 'read it again');
    return { thingId, text, version: 4 };
  }

  @Handles(RemoveThing)
  async remove(_: Body<typeof RemoveThing>) {}

  @Handles(Detonate)
  async detonate(_: Body<typeof Detonate>) {}

  @Handles(GetMe)
  async me(_: Body<typeof GetMe>, { caller, language }: MessageContext) {
    return { memberId: caller.memberId, sessionId: caller.sessionId, language };
  }

  @Handles(GetOwn)
  async own({ ownerId }: Body<typeof GetOwn>, { caller }: MessageContext) {
    caller.mustOwn(ownerId);
    return { yours: true };
  }

  @Handles(GetJwks)
  async jwks(_: Body<typeof GetJwks>) {
    return { keys: demoState.keys };
  }

  @Handles(Fail)
  async fail({ how }: Body<typeof Fail>) {
    if (how === 'throw') throw new Error('password=hunter2 at db.internal:5432');
    await sleep(1_500);
  }

  @Handles(GetCounter)
  async counter({ takes, note }: Body<typeof GetCounter>, { language }: MessageContext) {
    demoState.counterCalls += 1;
    const { count } = demoState;
    await sleep(takes);
    return { count, language, ...(note !== undefined && { note }) };
  }

  @Handles(CountUp)
  async countUp(_: Body<typeof CountUp>) {
    return { count: (demoState.count += 1) };
  }

  @Handles(Browse)
  async browse({ takes }: Body<typeof Browse>) {
    demoState.slowCalls += 1;
    await sleep(takes);
    return { done: true };
  }

  @Handles(Buy)
  async buy({ takes }: Body<typeof Buy>) {
    demoState.slowCalls += 1;
    await sleep(takes);
    return { done: true };
  }

  @Handles(Inside)
  async inside(_: Body<typeof Inside>) {
    return { secret: 'of the inside' };
  }

  @Handles(GetJobOutcome)
  async outcome({ jobId }: Body<typeof GetJobOutcome>) {
    const status = demoState.jobs.get(jobId) ?? 'begun';
    return { jobId, status, ...(status === 'ended' && { result: 'done' }) };
  }

  @Handles(BeginJob)
  async begin(
    { takes, silent, announcedOnly, told, token, lines }: Body<typeof BeginJob>,
    { incoming }: MessageContext,
  ): Promise<{ jobId: string; status: string }> {
    if (token)
      throw BeginJob.reject('unknown-token', 'no such token', [{ path: 'token', message: 'unknown' }]);
    const jobId = crypto.randomUUID();
    demoState.begun.push({ key: incoming.idempotencyKey, input: { lines, takes } });
    const endJob = async (): Promise<void> => {
      if (!announcedOnly) demoState.jobs.set(jobId, 'ended');
      const finished = { jobId, status: 'finished', result: 'as told', cost: 7 };
      if (told) this.client.emit(JobFinished.name, finished).subscribe();
      else if (!silent) this.client.emit(JobEnded.name, { jobId }).subscribe();
    };
    // Published before the reply, so the gateway receives the event first.
    if (takes === 0) await endJob();
    else if (takes !== undefined) setTimeout(() => void endJob(), takes).unref();
    return { jobId, status: 'begun' };
  }
}

const hello: Record<Language, string> = { nl: 'hé, hallo', en: 'hello' };

@Service({ contract: demo, handlers: [DemoHandler] })
export class DemoModule {}
