import { describe, expect, it } from '@jest/globals';
import { platformRejection, Rejection } from '@jogakbo/contract';
import { RemoteFault } from '@jogakbo/messaging';
import { problemHeaders, toProblem, createProblem } from './problem.ts';

const trace = '0'.repeat(32);

describe('problems', () => {
  it('contain the field errors of a rejection', () => {
    const errors = [{ path: 'lines.0.quantity', message: 'too small' }];
    expect(toProblem(platformRejection('invalid', 'does not fit', errors), trace)).toEqual({
      type: '/problems/invalid',
      title: 'The request does not match the contract',
      status: 400,
      code: 'invalid',
      detail: 'does not fit',
      traceId: trace,
      errors,
    });
  });

  it('contain the extensions of a rejection, which cannot replace standard members', () => {
    const rejection = new Rejection('price-changed', 409, 'it rose').with({
      total: { amount: 2, unit: 'kg' },
      status: 200,
      code: 'ok',
      type: 'x',
      detail: 'x',
      traceId: 'x',
    });
    expect(toProblem(rejection, trace)).toEqual({
      type: '/problems/price-changed',
      title: 'Price changed',
      status: 409,
      code: 'price-changed',
      detail: 'it rose',
      traceId: trace,
      total: { amount: 2, unit: 'kg' },
    });
  });

  it('derive the title from an unknown code', () => {
    expect(toProblem(new Rejection('none-left', 409), trace)).toMatchObject({
      title: 'None left',
      status: 409,
    });
  });

  it.each([
    ['timeout', 504, 'timeout'],
    ['unavailable', 503, 'unavailable'],
    ['contract-broken', 502, 'bad-gateway'],
    ['unknown-pattern', 502, 'bad-gateway'],
    ['internal', 500, 'internal'],
    ['whatever', 500, 'internal'],
    ['constructor', 500, 'internal'],
  ])('map the fault %s to %d %s', (fault, status, code) => {
    expect(toProblem(new RemoteFault(fault, 'amqp://inside'), trace)).toMatchObject({ status, code });
  });

  it.each(['SOLD_OUT', 'loans.sold-out', '품절', '../x', '-'])('accept any code of a service: %s', (code) => {
    expect(toProblem(new Rejection(code, 409), trace)).toMatchObject({
      status: 409,
      code,
      type: `/problems/${encodeURIComponent(code)}`,
    });
  });

  it.each([
    new Error('at db.internal'),
    new RemoteFault('unavailable', 'no consumer on db.internal'),
    Object.assign(new Error('db.internal'), { statusCode: 500 }),
    Object.assign(new Error('db.internal'), { statusCode: 418 }),
    new Rejection('odd', 200, 'db.internal'),
    'db.internal',
    undefined,
  ])('show no internals: %s', (error) => {
    const problem = toProblem(error, trace);
    expect(problem.status).toBeGreaterThanOrEqual(400);
    expect(JSON.stringify(problem)).not.toContain('db.internal');
  });

  it('have the headers that their status requires', () => {
    expect(problemHeaders(createProblem(401, trace))).toMatchObject({ 'www-authenticate': 'Bearer' });
    expect(problemHeaders(createProblem(503, trace))).toMatchObject({ 'retry-after': '1' });
    expect(problemHeaders(createProblem(404, trace))).not.toHaveProperty('retry-after');
  });
});
