import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { SignIn, SignUp } from '@jogakbo/contracts-identity';
import { ServiceUnderTest } from '@jogakbo/testing';
import { inFullRuns } from '@jogakbo/testing/full-runs';
import { IdentityModule } from '../src/identity.module.ts';

const password = '조각보-correct-horse';

describe('sign-in limits', () => {
  let identity: ServiceUnderTest;
  let count = 0;

  beforeAll(async () => {
    identity = await ServiceUnderTest.start(IdentityModule, {
      TOKEN_ISSUER: 'https://store.example',
      LANGUAGES: 'ko,en',
      ROLES: 'moderator',
    });
  });
  afterAll(() => identity.stop());

  async function createMember(): Promise<string> {
    const email = `guessed-${++count}@example.com`;
    await identity.ask(SignUp, { email, password, name: 'Owner' });
    return email;
  }
  /** Signs in. @returns `ok` or the rejection code */
  const attempt = (email: string, typedPassword: string, address?: string): Promise<string> =>
    identity
      .ask(SignIn, { email, password: typedPassword }, { timeout: 20_000, ...(address && { address }) })
      .then(
        () => 'ok',
        ({ code }: { code: string }) => code,
      );
  const runParallel = (n: number, work: (i: number) => Promise<string>) =>
    Promise.all(Array.from({ length: n }, (_, i) => work(i)));
  const readHashCount = async (): Promise<number> => {
    const text = await (await fetch(`${identity.url}/metrics`)).text();
    return Number(/^password_hashes_total\{.*\} (\d+)$/m.exec(text)![1]);
  };
  const countHashes = async (work: () => Promise<unknown>): Promise<number> => {
    const before = await readHashCount();
    await work();
    return (await readHashCount()) - before;
  };
  const countCode = (codes: string[], code: string) => codes.filter((one) => one === code).length;

  it('block an address for an account after ten failures, also for unknown accounts', async () => {
    const email = await createMember();
    for (const account of [email, 'unknown@example.com']) {
      const codes: string[] = [];
      for (let i = 0; i < 12; i++) codes.push(await attempt(account, 'wrong', '192.0.2.1'));
      expect(codes).toEqual([...Array(10).fill('wrong-credentials'), ...Array(2).fill('too-many-attempts')]);
    }
    await expect(attempt(email, password, '192.0.2.1')).resolves.toBe('too-many-attempts');
    await identity.query(`UPDATE sign_in_failures SET until = now()`);
    await expect(attempt(email, password, '192.0.2.1')).resolves.toBe('ok');
  });

  it('compute no hash for rejected attempts, and few above the limit for concurrent guesses', async () => {
    const email = await createMember();
    let codes: string[] = [];
    const hashes = await countHashes(async () => {
      codes = await runParallel(40, () => attempt(email, 'wrong', '192.0.2.2'));
    });
    expect(countCode(codes, 'wrong-credentials')).toBe(hashes);
    expect(hashes).toBeGreaterThanOrEqual(10);
    expect(hashes).toBeLessThanOrEqual(11);
    // On a slow machine some wait too long for their turn, which costs no hash either.
    const rejected = countCode(codes, 'too-many-attempts') + countCode(codes, 'too-busy');
    expect(rejected).toBe(40 - hashes);
  });

  // Hundreds of password hashes, each a quarter of a second of one processor.
  inFullRuns(
    'do not lock out the owner at known or new addresses',
    async () => {
      const email = await createMember();
      await expect(attempt(email, password, '192.0.2.10')).resolves.toBe('ok');
      for (let attacker = 0; attacker < 20; attacker++) {
        await runParallel(10, () => attempt(email, 'wrong', `198.51.100.${attacker}`));
      }
      // The account has reached the attack threshold, so each new address has two attempts.
      const codes: string[] = [];
      for (let i = 0; i < 3; i++) codes.push(await attempt(email, 'wrong', '203.0.113.1'));
      expect(codes).toEqual(['wrong-credentials', 'wrong-credentials', 'too-many-attempts']);
      await expect(attempt(email, password, '203.0.113.2')).resolves.toBe('ok');
      for (let i = 0; i < 5; i++) await attempt(email, 'a slip', '192.0.2.10');
      await expect(attempt(email, password, '192.0.2.10')).resolves.toBe('ok');
    },
    60_000,
  );

  inFullRuns(
    'block an address that fails for many accounts, except for members known there',
    async () => {
      const [neighbour, other] = [await createMember(), await createMember()];
      await expect(attempt(neighbour, password, '2001:db8:1:2::7')).resolves.toBe('ok');
      for (let i = 0; i < 100; i++) await attempt(`list-${i}@example.com`, 'wrong', `2001:db8:1:2::${i + 1}`);
      await expect(attempt(other, password, '2001:db8:1:2:ffff::1')).resolves.toBe('too-many-attempts');
      await expect(attempt(other, password, '2001:db8:1:3::1')).resolves.toBe('ok');
      await expect(attempt(neighbour, password, '2001:db8:1:2::8')).resolves.toBe('ok');
    },
    60_000,
  );

  it('count both notations of an address together', async () => {
    const email = await createMember();
    for (let i = 0; i < 10; i++) await attempt(email, 'wrong', i % 2 ? '::ffff:192.0.2.30' : '192.0.2.30');
    await expect(attempt(email, password, '192.0.2.30')).resolves.toBe('too-many-attempts');
  });

  it('compute a hash for unknown accounts and for sign-ups with a taken address', async () => {
    const email = await createMember();
    const signUp = (address: string) => identity.ask(SignUp, { email: address, password, name: 'x' });
    await expect(countHashes(() => attempt('unknown-account@example.com', 'wrong'))).resolves.toBe(1);
    await expect(countHashes(() => attempt(email, 'wrong'))).resolves.toBe(1);
    await expect(countHashes(() => signUp(email))).resolves.toBe(1);
    await expect(countHashes(() => signUp('fresh-address@example.com'))).resolves.toBe(1);
  });

  it('serve other networks during a flood from one', async () => {
    // On a busy machine a flood can be over before the other attempts arrive: that round shows nothing.
    for (let round = 0, wasConcurrent = false; !wasConcurrent; round++) {
      expect(round).toBeLessThan(4);
      let isFinished = false;
      const flood = runParallel(100, (i) =>
        attempt(`flooded-${round}-${i}@example.com`, 'wrong', `192.0.${2 + round}.66`),
      ).finally(() => (isFinished = true));
      const others = await runParallel(5, (i) =>
        attempt(`calm-${round}-${i}@example.com`, 'wrong', `203.0.113.${60 + 10 * round + i}`),
      );
      wasConcurrent = !isFinished;
      expect(others).toEqual(Array(5).fill('wrong-credentials'));
      expect(countCode(await flood, 'too-busy')).toBeGreaterThan(30);
    }
  }, 60_000);

  it('reject excess requests with too-busy, and serve the accepted ones', async () => {
    const startedAt = performance.now();
    let firstRefusal = Infinity;
    const codes = await runParallel(200, async (i) => {
      const code = await attempt(`flood-${i}@example.com`, 'wrong');
      if (code === 'too-busy') firstRefusal = Math.min(firstRefusal, performance.now() - startedAt);
      return code;
    });
    expect(countCode(codes, 'too-busy') + countCode(codes, 'wrong-credentials')).toBe(200);
    // Two running and 46 queued, fewer if a busy machine lets queued requests time out.
    expect(countCode(codes, 'wrong-credentials')).toBeGreaterThan(2);
    expect(countCode(codes, 'too-busy')).toBeGreaterThan(30);
    expect(firstRefusal).toBeLessThan(performance.now() - startedAt);
    await expect(attempt('flood-0@example.com', 'wrong')).resolves.toBe('wrong-credentials');
  }, 60_000);
});
