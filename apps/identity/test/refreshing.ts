import { createHmac } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import { decodeJwt } from 'jose';
import { ExpiredSessions } from '../src/expired-sessions.ts';
import { hashToken } from '../src/session.ts';
import { type MembersUnderTest, rejected } from './members-under-test.ts';

export function testRefreshing(members: MembersUnderTest): void {
  describe('refreshing', () => {
    it('continues the session with new tokens', async () => {
      const { email } = await members.createMember();
      const first = await members.signIn(email);
      const second = await members.refresh(first.refreshToken);
      expect(second.refreshToken).toMatch(/^[\w-]{43}$/);
      expect(second.refreshToken).not.toBe(first.refreshToken);
      expect(decodeJwt(second.accessToken)['sid']).toBe(decodeJwt(first.accessToken)['sid']);
      await expect(members.refresh(second.refreshToken)).resolves.toMatchObject({ expiresIn: 600 });
    });

    it('returns one valid successor for ten concurrent uses of a token', async () => {
      const { email } = await members.createMember();
      const { refreshToken } = await members.signIn(email);
      const answers = await Promise.all(Array.from({ length: 10 }, () => members.refresh(refreshToken)));
      const successors = new Set(answers.map((answer) => answer.refreshToken));
      expect(successors.size).toBe(1);
      const third = await members.refresh([...successors][0]!);
      await expect(members.refresh([...successors][0]!)).resolves.toMatchObject({
        refreshToken: third.refreshToken,
      });
    });

    it('ends the token family on reuse after the grace period, and no other', async () => {
      const { email } = await members.createMember();
      const [first, elsewhere] = [await members.signIn(email), await members.signIn(email)];
      const second = await members.refresh(first.refreshToken);
      await members.setUsedSecondsAgo(first.refreshToken, 9);
      await expect(members.refresh(first.refreshToken)).resolves.toMatchObject({
        refreshToken: second.refreshToken,
      });
      await members.setUsedSecondsAgo(first.refreshToken, 11);
      await expect(members.refresh(first.refreshToken)).rejects.toMatchObject(rejected);
      await expect(members.refresh(second.refreshToken)).rejects.toMatchObject(rejected);
      await members.setUsedSecondsAgo(first.refreshToken, 0);
      await expect(members.refresh(first.refreshToken)).rejects.toMatchObject(rejected);
      await expect(members.refresh(elsewhere.refreshToken)).resolves.toMatchObject({ tokenType: 'Bearer' });
    });

    it('derives a successor from the token of the client and the key in the database', async () => {
      const { email } = await members.createMember();
      const [one, other] = [await members.signIn(email), await members.signIn(email)];
      // The key of one session does not derive successors for the tokens of another.
      const [next, elsewhere] = [
        await members.refresh(one.refreshToken),
        await members.refresh(other.refreshToken),
      ];
      const keys = await members.identity.query<{ rotation_key: Buffer }>('SELECT rotation_key FROM session');
      const deriveAll = (token: string) =>
        keys.map((row) => createHmac('sha256', row.rotation_key).update(token).digest('base64url'));
      expect(deriveAll(one.refreshToken)).toContain(next.refreshToken);
      expect(new Set([...keys.map((row) => row.rotation_key.toString('hex'))]).size).toBe(keys.length);
      expect(deriveAll(hashToken(one.refreshToken))).not.toContain(next.refreshToken);
      expect(next.refreshToken).not.toBe(elsewhere.refreshToken);
    });

    it('ends at the absolute expiry of the session', async () => {
      const { email } = await members.createMember();
      const first = await members.signIn(email);
      const sessionId = decodeJwt(first.accessToken)['sid'];
      const [{ days } = { days: 0 }] = await members.identity.query<{ days: number }>(
        `SELECT round(extract(epoch FROM ends_at - now()) / 86400)::int AS days FROM session WHERE session_id = $1`,
        [sessionId],
      );
      expect(days).toBe(90);
      const setEnd = (when: string) =>
        members.identity.query(
          `UPDATE session SET ends_at = now() + interval '${when}' WHERE session_id = $1`,
          [sessionId],
        );
      await setEnd('100 seconds');
      const second = await members.refresh(first.refreshToken);
      expect(second.expiresIn).toBeLessThanOrEqual(100);
      expect(decodeJwt(second.accessToken).exp! * 1_000).toBeLessThanOrEqual(Date.now() + 100_000);
      const outliving = await members.identity.query(
        'SELECT 1 FROM refresh_token JOIN session USING (session_id) WHERE refresh_token.expires_at > ends_at AND used_at IS NULL',
      );
      expect(outliving).toEqual([]);
      await setEnd('-1 seconds');
      for (const token of [second.refreshToken, first.refreshToken])
        await expect(members.refresh(token)).rejects.toMatchObject(rejected);
    });

    it('returns the current roles', async () => {
      const { email } = await members.createMember();
      const { refreshToken } = await members.signIn(email);
      await members.identity.query(`UPDATE member SET roles = '{member,moderator}' WHERE email = $1`, [
        email,
      ]);
      expect(decodeJwt((await members.refresh(refreshToken)).accessToken)['roles']).toEqual([
        'member',
        'moderator',
      ]);
    });

    it('rejects unknown and expired tokens, and deletes expired sessions', async () => {
      await expect(members.refresh('never-given-out')).rejects.toMatchObject(rejected);
      const { email, memberId } = await members.createMember();
      const { refreshToken } = await members.signIn(email);
      const past = `now() - interval '1 second'`;
      await members.identity.query(`UPDATE session SET expires_at = ${past} WHERE member_id = $1`, [
        memberId,
      ]);
      await members.identity.query(
        `UPDATE refresh_token SET expires_at = ${past} WHERE session_id IN
           (SELECT session_id FROM session WHERE member_id = $1)`,
        [memberId],
      );
      await expect(members.refresh(refreshToken)).rejects.toMatchObject(rejected);
      await members.identity.get(ExpiredSessions).deleteExpired();
      const remaining = members.identity.query('SELECT 1 FROM session WHERE member_id = $1', [memberId]);
      await expect(remaining).resolves.toEqual([]);
    });
  });
}
