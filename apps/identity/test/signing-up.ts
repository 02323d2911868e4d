import { describe, expect, it } from '@jest/globals';
import { GetMe, MemberRegistered, SignUp, SignUpRepeated } from '@jogakbo/contracts-identity';
import { inFullRuns } from '@jogakbo/testing/full-runs';
import { decodeJwt } from 'jose';
import { IdentitySettings } from '../src/settings.ts';
import { type MembersUnderTest, password, toCaller } from './members-under-test.ts';

export function testSigningUp(members: MembersUnderTest): void {
  describe('signing up', () => {
    it('creates a member and publishes an event with the language of the request', async () => {
      const { memberId } = await members.identity.ask(
        SignUp,
        { email: 'Ada@Example.com', password, name: 'Ada' },
        { language: 'en' },
      );
      await expect(
        members.identity.waitForEvent(MemberRegistered, (event) => event.memberId === memberId),
      ).resolves.toEqual({ memberId, email: 'ada@example.com', name: 'Ada', language: 'en', mayMail: true });
      const { accessToken } = await members.signIn('aDA@example.com');
      await expect(members.identity.ask(GetMe, {}, toCaller(decodeJwt(accessToken)))).resolves.toEqual({
        memberId,
        email: 'ada@example.com',
        name: 'Ada',
        roles: ['member'],
      });
    });

    it('returns the same response for a taken address, notifies the owner and changes nothing', async () => {
      const { email, memberId } = await members.createMember();
      const again = await members.identity.ask(
        SignUp,
        { email: email.toUpperCase(), password: 'another password', name: 'Mallory' },
        { language: 'en' },
      );
      expect(Object.keys(again)).toEqual(['memberId']);
      expect(again.memberId).not.toBe(memberId);
      await expect(
        members.identity.waitForEvent(SignUpRepeated, (event) => event.memberId === memberId),
      ).resolves.toEqual({
        memberId,
        language: 'en',
        mayMail: true,
      });
      expect(
        members.identity.getPublishedEvents(MemberRegistered).filter((event) => event.email === email),
      ).toHaveLength(1);
      const rows = await members.identity.query<{ name: string }>(
        'SELECT name FROM member WHERE email = $1',
        [email],
      );
      expect(rows).toEqual([{ name: '김하나' }]);
      await expect(members.signIn(email, 'another password')).rejects.toMatchObject({
        code: 'wrong-credentials',
      });
    });

    // A hash is computed for both: see sign-in-limits.int.spec.ts. This measures the whole request.
    inFullRuns(
      'takes the same time for taken and new addresses',
      async () => {
        const { email } = await members.createMember();
        const time = async (address: string) => {
          const startedAt = performance.now();
          const answer = await members.identity.ask(SignUp, { email: address, password, name: 'x' });
          expect(answer).toEqual({ memberId: expect.stringMatching(/^[0-9a-f-]{36}$/) });
          return performance.now() - startedAt;
        };
        // Compares the minima, as below.
        const [fresh, taken]: [number[], number[]] = [[], []];
        const ratio = () => Math.min(...fresh) / Math.min(...taken);
        // On a busy machine, an undisturbed minimum needs more attempts.
        for (let i = 0; i < 10 || (i < 40 && Math.abs(Math.log(ratio())) > Math.log(1.4)); i++) {
          fresh.push(await time(`fresh-${i}@example.com`));
          taken.push(await time(email));
        }
        expect(ratio()).toBeGreaterThan(1 / 1.4);
        expect(ratio()).toBeLessThan(1.4);
      },
      90_000,
    );

    it('limits mails per address, subaddresses included, and per network, across restarts', async () => {
      const mayMail = async (email: string, address: string) => {
        await members.identity.ask(SignUp, { email, password, name: 'x' }, { address });
        const [last] = await members.identity.query<{ mail: boolean }>(
          `SELECT (data->>'mayMail')::boolean AS mail FROM outbox ORDER BY id DESC LIMIT 1`,
        );
        return last!.mail;
      };
      const victim = [
        'v@example.org',
        'V@example.org',
        'v+1@example.org',
        'v+2@example.org',
        'v@example.org',
      ];
      const allowed: boolean[] = [];
      for (const [nth, email] of victim.entries()) allowed.push(await mayMail(email, `192.0.2.${nth}`));
      expect(allowed).toEqual([true, true, true, false, false]);

      members.identity.get(IdentitySettings).signUpMailsPerNetwork = 2;
      const fromNetwork = (nth: number) => mayMail(`n${nth}@example.org`, `2001:db8:7::${nth}`);
      expect([await fromNetwork(1), await fromNetwork(2)]).toEqual([true, true]);
      await members.identity.restart();
      members.identity.get(IdentitySettings).signUpMailsPerNetwork = 2;
      expect(await fromNetwork(3)).toBe(false);
      expect(await mayMail('n4@example.org', '2001:db8:8::1')).toBe(true);
      members.identity.get(IdentitySettings).signUpMailsPerNetwork = 100;
      const rows = JSON.stringify(await members.identity.query('SELECT * FROM sign_up_mails'));
      expect(rows).not.toContain('example.org');
    });

    it('creates one member from concurrent sign-ups with the same address', async () => {
      const email = 'crowd@example.com';
      const answers = await Promise.all(
        Array.from({ length: 8 }, () => members.identity.ask(SignUp, { email, password, name: 'One' })),
      );
      expect(new Set(answers.map(({ memberId }) => memberId)).size).toBe(8);
      await expect(
        members.identity.query('SELECT 1 FROM member WHERE email = $1', [email]),
      ).resolves.toHaveLength(1);
    });

    it.each([
      ['an invalid address', { email: 'not-an-address', password, name: 'x' }, 'email'],
      ['a short password', { email: 'a@example.com', password: 'short', name: 'x' }, 'password'],
      [
        'an address with a local part over 64 octets',
        { email: `${'a'.repeat(65)}@example.com`, password, name: 'x' },
        'email',
      ],
      ['an empty name', { email: 'a@example.com', password, name: '  ' }, 'name'],
      ['a zero byte in the name', { email: 'a@example.com', password, name: 'A\u0000B' }, 'name'],
      ['a role', { email: 'a@example.com', password, name: 'x', roles: ['operator'] }, 'roles'],
    ])('rejects %s and reports the field', async (_, input, path) => {
      await expect(members.identity.ask(SignUp, input as never)).rejects.toMatchObject({
        code: 'invalid',
        status: 400,
        errors: [expect.objectContaining({ path })],
      });
    });
  });

  describe('a new password', () => {
    it.each(['password', ' '.repeat(12), 'kim@example.com'])('is rejected: %j', async (weak) => {
      const input = { email: 'kim@example.com', password: weak, name: 'Kim' };
      await expect(members.identity.ask(SignUp, input)).rejects.toMatchObject({
        code: 'weak-password',
        status: 422,
        errors: [expect.objectContaining({ path: 'password' })],
      });
    });
  });
}
