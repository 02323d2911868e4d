import { describe, expect, it } from '@jest/globals';
import { type GatewayUnderTest } from './gateway-under-test.ts';

export const testWaiting = (gateway: GatewayUnderTest) =>
  describe('Prefer: wait', () => {
    const preferWait = (seconds: number) => ({ prefer: `respond-async, wait=${seconds}` });

    it('responds immediately without the header', async () => {
      const answer = await gateway.beginJob({ takes: 200 });
      expect(answer).toMatchObject({ status: 202, body: { status: 'begun' } });
      expect(answer.headers.get('location')).toBe(`/v1/jobs/${answer.body.jobId}`);
      expect(answer.headers.get('cache-control')).toBe('no-store');
    });

    it('responds with the outcome', async () => {
      const answer = await gateway.beginJob({ takes: 120 }, preferWait(5));
      expect(answer).toMatchObject({ status: 201, body: { status: 'ended', result: 'done' } });
      expect(answer.headers.get('preference-applied')).toBe('wait=5');
      expect(answer.headers.get('location')).toBe(`/v1/jobs/${answer.body.jobId}`);
    });

    it('receives the event and does not only poll', async () => {
      // The query does not return the end of this job.
      const answer = await gateway.beginJob({ takes: 120, announcedOnly: true }, preferWait(5));
      expect(answer).toMatchObject({ status: 201, body: { status: 'begun' } });
    });

    it.each([0, 120])('sends no query if the event contains the complete outcome (%s ms)', async (takes) => {
      // The query does not return the end of this job.
      const answer = await gateway.beginJob({ takes, announcedOnly: true, told: true }, preferWait(5));
      const { jobId } = answer.body;
      expect(answer.body).toEqual({ jobId, status: 'finished', result: 'as told' });
      expect(answer.status).toBe(201);
    });

    it('responds with an outcome that was published before the reply', async () => {
      expect(await gateway.beginJob({ takes: 0 }, preferWait(5))).toMatchObject({
        status: 201,
        body: { status: 'ended' },
      });
    });

    it('finds an outcome without an event by polling', async () => {
      expect(await gateway.beginJob({ takes: 100, silent: true }, preferWait(5))).toMatchObject({
        status: 201,
      });
    });

    it('responds with 202 after the wait time', async () => {
      const startedAt = performance.now();
      const answer = await gateway.beginJob({}, preferWait(1));
      expect(answer).toMatchObject({ status: 202, body: { status: 'begun' } });
      expect(answer.headers.get('location')).toBe(`/v1/jobs/${answer.body.jobId}`);
      expect(performance.now() - startedAt).toBeGreaterThan(950);
    });

    it.each(['wait=soon', 'wait', 'wait=-1', 'wait=0', 'waiting=5'])(
      'is ignored when it is %s',
      async (prefer) => {
        const answer = await gateway.beginJob({}, { prefer });
        expect(answer.status).toBe(202);
        expect(answer.headers.get('preference-applied')).toBeNull();
      },
    );
  });
