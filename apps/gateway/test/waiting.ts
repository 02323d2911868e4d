import { describe, expect, it } from '@jest/globals';
import { type GatewayUnderTest } from './gateway-under-test.ts';

export const waiting = (gateway: GatewayUnderTest) =>
  describe('Prefer: wait', () => {
    const wait = (seconds: number) => ({ prefer: `respond-async, wait=${seconds}` });

    it('answers at once where it is not given', async () => {
      const answer = await gateway.begin({ takes: 200 });
      expect(answer).toMatchObject({ status: 202, body: { status: 'begun' } });
      expect(answer.headers.get('location')).toBe(`/v1/jobs/${answer.body.jobId}`);
      expect(answer.headers.get('cache-control')).toBe('no-store');
    });

    it('answers with the end', async () => {
      const answer = await gateway.begin({ takes: 120 }, wait(5));
      expect(answer).toMatchObject({ status: 201, body: { status: 'ended', result: 'done' } });
      expect(answer.headers.get('preference-applied')).toBe('wait=5');
      expect(answer.headers.get('location')).toBe(`/v1/jobs/${answer.body.jobId}`);
    });

    it('hears the end, and does not only ask for it', async () => {
      // Whoever only asks finds no end here.
      const answer = await gateway.begin({ takes: 120, announcedOnly: true }, wait(5));
      expect(answer).toMatchObject({ status: 201, body: { status: 'begun' } });
    });

    it.each([0, 120])('asks nobody where the announcement tells all (%s ms)', async (takes) => {
      // Whoever asks finds no end here.
      const answer = await gateway.begin({ takes, announcedOnly: true, told: true }, wait(5));
      const { jobId } = answer.body;
      expect(answer.body).toEqual({ jobId, status: 'finished', result: 'as told' });
      expect(answer.status).toBe(201);
    });

    it('answers with an end that was announced before the reply', async () => {
      expect(await gateway.begin({ takes: 0 }, wait(5))).toMatchObject({
        status: 201,
        body: { status: 'ended' },
      });
    });

    it('finds an end of which it did not hear', async () => {
      expect(await gateway.begin({ takes: 100, silent: true }, wait(5))).toMatchObject({ status: 201 });
    });

    it('gives the plain answer when it takes too long', async () => {
      const startedAt = performance.now();
      const answer = await gateway.begin({}, wait(1));
      expect(answer).toMatchObject({ status: 202, body: { status: 'begun' } });
      expect(answer.headers.get('location')).toBe(`/v1/jobs/${answer.body.jobId}`);
      expect(performance.now() - startedAt).toBeGreaterThan(950);
    });

    it.each(['wait=soon', 'wait', 'wait=-1', 'wait=0', 'waiting=5'])(
      'is ignored when it is %s',
      async (prefer) => {
        const answer = await gateway.begin({}, { prefer });
        expect(answer.status).toBe(202);
        expect(answer.headers.get('preference-applied')).toBeNull();
      },
    );
  });
