import { setImmediate } from 'node:timers/promises';
import { beforeEach, describe, expect, it } from '@jest/globals';
import { withCall } from '@jogakbo/messaging';
import { Logger } from '@nestjs/common';
import { createLog, logHandled, NestLog } from './log.ts';

describe('the log', () => {
  let lines: Record<string, unknown>[];
  let nest: NestLog;
  let level: (level: string) => void;
  beforeEach(() => {
    lines = [];
    const to = { write: (line: string) => void lines.push(JSON.parse(line) as Record<string, unknown>) };
    const log = createLog({ service: 'loans', instance: 'loans-1', level: 'info' }, to);
    level = (name) => (log.level = name);
    nest = new NestLog(log);
  });

  it.each([
    ['in a flat line', { password: 'geheim', status: 200 }],
    ['one level down', { sent: { accessToken: 'geheim' }, status: 200 }],
    ['two levels down', { sent: { headers: { authorization: 'geheim' } }, status: 200 }],
    ['three levels down', { sent: { request: { headers: { cookie: 'geheim' } } }, status: 200 }],
    ...['refresh_token', 'access_token', 'id_token', 'client_secret', 'clientSecret', 'secret'].map(
      (name): [string, object] => [`named ${name}`, { [name]: 'geheim', status: 200 }],
    ),
    ['in an answer', { answer: { headers: { 'set-cookie': ['a=geheim'] } }, status: 200 }],
    ['in a field of an error', { err: Object.assign(new Error('no'), { token: 'geheim' }), status: 200 }],
  ])('never contains a secret: %s', (_, message) => {
    nest.log(message, 'seen', 'http');
    expect(lines).toEqual([expect.objectContaining({ msg: 'seen', context: 'http', status: 200 })]);
    expect(JSON.stringify(lines)).toContain('[secret]');
    expect(JSON.stringify(lines)).not.toContain('geheim');
  });

  it.each([
    ['a text', 'kim@x.example has no cup', '[e-mail] has no cup'],
    ['an error', new Error('550 <kim.su+1@mail.x.example>: unknown'), '550 <[e-mail]>: unknown'],
    ['a text in another script', '도자기@한국.example', '[e-mail]'],
    [
      'no address',
      'npm install @nestjs/core@12.5.1 for amqp://a:b@127',
      'npm install @nestjs/core@12.5.1 for amqp://a:b@127',
    ],
  ])('never contains an e-mail address: %s', (_, message, expected) => {
    nest.log({ err: message, at: message }, 'seen');
    nest.error(message);
    expect(lines[1]!['msg']).toBe(expected);
    if (expected.includes('[e-mail]')) expect(JSON.stringify(lines)).not.toContain('@');
  });

  it('gives each line to its exporter too, with the span', () => {
    const exported: string[] = [];
    const log = createLog(
      { service: 'loans', instance: 'loans-1', level: 'info' },
      { write: () => undefined },
      { write: (line) => void exported.push(line) },
    );
    withCall({ language: 'und', traceparent: `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01` }, () =>
      log.info('seen'),
    );
    expect(exported.map((line) => JSON.parse(line) as unknown)).toMatchObject([
      { msg: 'seen', traceId: 'a'.repeat(32), spanId: 'b'.repeat(16) },
    ]);
  });

  it('omits the values of a failed database query', () => {
    const driverError = Object.assign(new Error('gone'), { detail: 'Key (email)=(kim@x.example)' });
    const failed = Object.assign(new Error('gone'), {
      parameters: ['kim@x.example'],
      driverError,
      code: '57P01',
    });
    nest.error({ err: failed }, 'failed');
    nest.error(failed);
    expect(lines).toEqual(
      Array(2).fill(expect.objectContaining({ err: expect.objectContaining({ code: '57P01' }) })),
    );
    expect(JSON.stringify(lines)).not.toContain('kim@x.example');
  });

  it('omits them in nested errors, too', () => {
    const query = () =>
      Object.assign(new Error('gone'), { detail: 'geheim', where: 'unnamed portal parameter $1 = geheim' });
    nest.error({ err: Object.assign(new Error('outer'), { inner: query() }) }, 'failed');
    nest.error({ err: new AggregateError([query()], 'all') }, 'failed');
    const cycle = { at: new Date(), self: {} };
    cycle.self = cycle;
    nest.error({ err: Object.assign(query(), { cycle }) }, 'failed');
    expect(lines).toHaveLength(3);
    expect(JSON.stringify(lines)).not.toContain('geheim');
    expect(JSON.stringify(lines)).toContain('gone');
  });

  it('adds service, instance and context to every line', () => {
    nest.log({ status: 200 }, 'flat', 'http');
    nest.log({ sent: { status: 200 } }, 'deep', 'http');
    nest.log('a text', 'http');
    expect(lines).toHaveLength(3);
    for (const line of lines)
      expect(line).toMatchObject({ service: 'loans', instance: 'loans-1', context: 'http' });
  });

  it('applies a level that is changed later', () => {
    level('warn');
    nest.log({ status: 200 }, 'flat', 'http');
    expect(lines).toEqual([]);
    level('debug');
    nest.debug({ status: 200 }, 'flat', 'http');
    expect(lines).toEqual([expect.objectContaining({ level: 20, msg: 'flat' })]);
  });
});

describe('two instances in one process', () => {
  it('write to their own logs, whichever of them Nest uses', async () => {
    const lines: Record<string, unknown>[] = [];
    const to = { write: (line: string) => void lines.push(JSON.parse(line) as Record<string, unknown>) };
    const [loans, search] = ['loans', 'search'].map(
      (service) => new NestLog(createLog({ service, instance: `${service}-1`, level: 'info' }, to)),
    );
    Logger.overrideLogger(search!);
    const write = async (text: string) => {
      await setImmediate();
      new Logger('Relay').warn(text);
    };
    await Promise.all([
      loans!.runWith(() => write('of loans')),
      search!.runWith(() => write('of search')),
      write('of neither'),
    ]);
    expect(lines.map(({ service, msg }) => `${service as string}: ${msg as string}`)).toEqual([
      'loans: of loans',
      'search: of search',
      'search: of neither',
    ]);
  });
});

it('two copies of this module, as in dense mode, give each instance its own log', async () => {
  const lines: Record<string, unknown>[] = [];
  const to = { write: (line: string) => void lines.push(JSON.parse(line) as Record<string, unknown>) };
  const copyPath = './log.ts?copy';
  const copy = (await import(copyPath)) as { NestLog: typeof NestLog };
  expect(copy.NestLog).not.toBe(NestLog);
  const loans = new NestLog(createLog({ service: 'loans', instance: 'loans-1', level: 'info' }, to));
  const search = new copy.NestLog(createLog({ service: 'search', instance: 'search-1', level: 'info' }, to));
  const write = async (text: string) => {
    await setImmediate();
    new Logger('Relay').warn(text);
  };
  for (const last of [loans, search]) {
    Logger.overrideLogger(last);
    await Promise.all([loans.runWith(() => write('of loans')), search.runWith(() => write('of search'))]);
  }
  expect(lines.map(({ service, msg }) => `${service as string}: ${msg as string}`)).toEqual([
    ...['loans: of loans', 'search: of search'],
    ...['loans: of loans', 'search: of search'],
  ]);
});

describe('a handled message', () => {
  it('is logged in a separate line with its trace, unless it is a query without an error', () => {
    const lines: Record<string, unknown>[] = [];
    const to = { write: (line: string) => void lines.push(JSON.parse(line) as Record<string, unknown>) };
    const log = createLog({ service: 'loans', instance: 'loans-1', level: 'info' }, to);
    const traceId = 'a'.repeat(32);
    withCall({ language: 'nl', traceparent: `00-${traceId}-${'b'.repeat(16)}-01` }, () => {
      logHandled(log, { name: 'loans.place-loan', kind: 'command', outcome: 'ok', seconds: 0.0123 });
      logHandled(log, { name: 'loans.get-loan', kind: 'query', outcome: 'ok', seconds: 0.001 });
      logHandled(log, { name: 'loans.get-loan', kind: 'query', outcome: 'fault', seconds: 0.001 });
    });
    expect(lines).toEqual([
      expect.objectContaining({ msg: 'loans.place-loan ok', ms: 12.3, traceId }),
      expect.objectContaining({ msg: 'loans.get-loan fault', traceId }),
    ]);
  });
});
