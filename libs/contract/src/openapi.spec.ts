import { describe, expect, it } from '@jest/globals';
import { z } from 'zod';
import { renderAsyncApi } from './asyncapi.ts';
import { isType } from './schema-titles.ts';
import { service } from './declare-service.ts';
import { VersionCondition } from './vocabulary.ts';
import { describe as describeContract } from './description.ts';
import { renderOpenApi } from './openapi.ts';

const loans = service('loans', 'Loans.');
const Ended = loans.event('ended', z.object({ loanId: z.uuid() }), { description: 'It ended.' });
const Outcome = loans.query('outcome', {
  input: z.strictObject({ loanId: z.uuid() }),
  output: z.object({ status: z.string() }),
});
loans.command('place', {
  description: 'Buys.',
  input: z.strictObject({ lines: z.array(z.int()), note: z.string().default('') }),
  output: z.object({ loanId: z.uuid(), version: z.int() }),
  rejections: { 'unknown-book': 422, 'sold-out': 409 },
  extensions: { 'sold-out': z.object({ left: z.int() }) },
  idempotency: 'required',
  http: {
    route: 'POST /loans',
    status: 202,
    location: '/loans/{loanId}',
    wait: { key: 'loanId', until: [Ended], answer: Outcome, status: 201 },
  },
  access: 'member',
});
loans.query('get', {
  input: z.strictObject({ loanId: z.uuid(), expand: z.boolean().optional() }),
  output: z.object({ loanId: z.uuid(), version: z.int() }),
  http: { route: 'GET /loans/{loanId}', etag: 'version' },
  access: 'public',
});
loans.command('change', {
  input: z.strictObject({ loanId: z.uuid(), version: VersionCondition, note: z.string() }),
  rejections: { 'version-changed': 412 },
  http: { route: 'PATCH /loans/{loanId}', ifMatch: 'version', limit: '10/minute', maxAuthAge: 300 },
  access: 'moderator',
});
const Tree: z.ZodType = z
  .strictObject({
    name: z.string(),
    get children() {
      return z.array(Tree).optional();
    },
  })
  .meta({ id: 'Tree' });
loans.command('plant', { input: z.strictObject({ tree: Tree }), http: 'POST /trees', access: 'member' });

const services = [describeContract(loans)];
const license = { name: 'MIT', identifier: 'MIT' };
const options = { title: 'Store', version: '1', description: 'A store.', serverUrl: '/', license };
// eslint-disable-next-line @typescript-eslint/no-explicit-any -- a document, read by path
const document = renderOpenApi(services, options) as any;

describe('the OpenAPI document', () => {
  it('declares the extension members of a problem', () => {
    const schema = (status: number) =>
      document.paths['/loans'].post.responses[status].content['application/problem+json'].schema;
    expect(schema(409).properties).toMatchObject({ left: { type: 'integer' }, code: { type: 'string' } });
    expect(schema(422)).toEqual({ $ref: '#/components/schemas/Problem' });
  });

  it('has the reachable operations only', () => {
    expect(Object.keys(document.paths)).toEqual(['/loans', '/loans/{loanId}', '/trees']);
    expect(JSON.stringify(document)).not.toContain('loans.outcome');
  });

  it('describes every operation and its access policy', () => {
    const operations = Object.values(document.paths).flatMap((path) => Object.values(path as object));
    expect(operations).not.toEqual([]);
    for (const { description } of operations) expect(description).toMatch(/^[A-Z].*\. Requires .*\.$/);
  });

  it('has a pattern for If-Match', () => {
    const { parameters } = document.paths['/loans/{loanId}'].patch;
    const { schema } = parameters.find(({ name }: { name: string }) => name === 'If-Match');
    const fits = (value: string) => new RegExp(schema.pattern).test(value);
    expect(['*', '"3"', 'W/"3"', '"3", "4"', '""'].filter(fits)).toHaveLength(5);
    expect(['3', '*, "3"', '"3', '"a b"', ''].filter(fits)).toEqual([]);
  });

  it('maps each part of the input to a parameter or the body', () => {
    const { parameters, requestBody } = document.paths['/loans/{loanId}'].patch;
    expect(parameters.map((one: { in: string; name: string }) => `${one.in} ${one.name}`)).toEqual([
      'path loanId',
      'header If-Match',
      'header Idempotency-Key',
      'header Accept-Language',
    ]);
    expect(requestBody.content['application/json'].schema).toMatchObject({
      properties: { note: { type: 'string' } },
      required: ['note'],
      additionalProperties: false,
    });
    const read = document.paths['/loans/{loanId}'].get;
    expect(read.requestBody).toBeUndefined();
    expect(read.parameters).toContainEqual(
      expect.objectContaining({ in: 'query', name: 'expand', required: false }),
    );
  });

  it('describes the responses', () => {
    const place = document.paths['/loans'].post.responses;
    expect(Object.keys(place)).toEqual([
      ...['201', '202', '400', '401', '409', '413', '414', '415', '422', '429', '503', '504', 'default'],
    ]);
    expect(place[202].headers).toHaveProperty('Location');
    const getFields = (answer: typeof place) =>
      Object.keys(answer.content['application/json'].schema.properties);
    expect(getFields(place[202])).toEqual(['loanId', 'version']);
    expect(getFields(place[201])).toEqual(['status']);
    expect(place[409].description).toContain('`sold-out`');
    expect(place[422].description).toContain('`unknown-book`');
    const read = document.paths['/loans/{loanId}'].get.responses;
    expect(read[200].headers).toHaveProperty('ETag');
    expect(read).toHaveProperty('304');
    const { responses: change } = document.paths['/loans/{loanId}'].patch;
    expect(change[429].description).toContain('too-many-requests');
    expect(document.paths['/loans/{loanId}'].patch.responses).toHaveProperty('428');
    expect(document.paths['/loans/{loanId}'].patch.responses[204].content).toBeUndefined();
  });

  it('declares the access policy', () => {
    const getAccess = (path: string, method: string) => document.paths[path][method]['x-access'];
    expect(getAccess('/loans', 'post')).toBe('member');
    expect(getAccess('/loans/{loanId}', 'get')).toBe('public');
    expect(getAccess('/loans/{loanId}', 'patch')).toBe('moderator');
    expect(document.paths['/loans'].post.security).toEqual([{ bearer: [] }]);
    expect(document.paths['/loans/{loanId}'].get.security).toContainEqual({});
    expect(document.paths['/loans/{loanId}'].patch.responses[401].description).toContain(
      '`step-up-required`',
    );
    expect(document.paths['/loans'].post.responses[401].description).not.toContain('step-up');
  });

  it('contains the target of every reference', () => {
    const references = [...JSON.stringify(document).matchAll(/"\$ref":"#\/([^"]+)"/g)];
    expect(references.length).toBeGreaterThan(0);
    for (const [, path] of references) {
      const target = path!.split('/').reduce((at, key) => at?.[key], document);
      expect({ path, target }).toEqual({ path, target: expect.any(Object) });
    }
    expect(document.components.schemas).toHaveProperty(['loans.plant.Tree']);
  });

  it('is the same for the same contracts', () => {
    expect(JSON.stringify(renderOpenApi(services, options))).toBe(JSON.stringify(document));
  });
});

describe('the AsyncAPI document', () => {
  const info = { title: 'Store', version: '1', description: '', license: { name: 'MIT' } };
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- a document, read by path
  const bus = renderAsyncApi(services, info) as any;

  it('has a channel and an operation for every message', () => {
    const names = ['ended', 'outcome', 'place', 'get', 'change', 'plant'].map((name) => `loans.${name}`);
    expect(Object.keys(bus.operations).sort()).toEqual(names.sort());
    expect(bus.operations['loans.ended'].action).toBe('send');
    expect(bus.operations['loans.place']).toMatchObject({
      action: 'receive',
      reply: { channel: { $ref: '#/channels/replies' } },
    });
    expect(bus.channels['loans.ended'].bindings.amqp.exchange).toMatchObject({
      name: 'events.loans',
      type: 'topic',
    });
    expect(bus.channels['loans.place'].bindings.amqp.exchange).toMatchObject({ name: 'requests.loans' });
  });

  it('describes events as CloudEvents', () => {
    const message = bus.channels['loans.ended'].messages['loans.ended'];
    expect(message.contentType).toBe('application/json');
    expect(message.headers.allOf[1].properties['cloudEvents:type']).toEqual({ const: 'loans.ended' });
    expect(message.payload.properties).not.toHaveProperty('id');
    expect(message.payload.properties.data.properties).toHaveProperty('loanId');
  });

  it('has a unique title for every type that a code generator creates', () => {
    const types = new Map<string, Set<string>>();
    const untitled: string[] = [];
    const walk = (node: unknown, path: string): void => {
      if (!node || typeof node !== 'object') return;
      if (
        /(payload|headers|schemas\/[^/]+|\/properties\/[^/]+|items|contentSchema|additionalProperties|Of\/\d+)$/.test(
          path,
        )
      ) {
        const schema = node as Record<string, unknown>;
        const title = schema['title'] as string | undefined;
        if (isType(schema) && !title) untitled.push(path);
        if (title) types.set(title, (types.get(title) ?? new Set()).add(JSON.stringify(schema)));
      }
      for (const [key, child] of Object.entries(node)) walk(child, `${path}/${key}`);
    };
    walk(bus.channels, '');
    walk(bus.components, '');
    expect(untitled).toEqual([]);
    expect([...types].filter(([, schemas]) => schemas.size > 1).map(([title]) => title)).toEqual([]);
    expect([...types.keys()]).toEqual(
      expect.arrayContaining([
        'LoansPlaceRequest',
        'LoansPlaceRequestData',
        'LoansGetReply',
        'LoansEndedEvent',
      ]),
    );
  });

  it('describes every operation', () => {
    for (const operation of Object.values(bus.operations) as { description: string }[])
      expect(operation.description).toMatch(/^\S.{20,}\.$/);
  });

  it('contains the target of every reference', () => {
    for (const [, path] of JSON.stringify(bus).matchAll(/"\$ref":"#\/([^"]+)"/g)) {
      const target = path!.split('/').reduce((at, key) => at?.[key], bus);
      expect({ path, target }).toEqual({ path, target: expect.any(Object) });
    }
  });
});
