import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { SignIn, SignUp } from '@jogakbo/contracts-identity';
import { ServiceUnderTest } from '@jogakbo/testing';
import { IdentityModule } from '../src/identity.module.ts';

const password = '조각보-correct-horse';

describe('guessing passwords', () => {
  let identity: ServiceUnderTest;
  let count = 0;

  beforeAll(async () => {
    identity = await ServiceUnderTest.start(IdentityModule, { TOKEN_ISSUER: 'https://store.example' });
  });
  afterAll(() => identity.stop());

  async function member(): Promise<string> {
    const email = `guessed-${++count}@example.com`;
    await identity.ask(SignUp, { email, password, name: 'Owner' });
    return email;
  }
  /** The code of the answer; `ok` where it is a session. */
  const attempt = (email: string, given: string, address?: string): Promise<string> =>
    identity.ask(SignIn, { email, password: given }, { timeout: 20_000, ...(address && { address }) }).then(
      () => 'ok',
      ({ code }: { code: string }) => code,
    );
  const times = (n: number, work: (i: number) => Promise<string>) =>
    Promise.all(Array.from({ length: n }, (_, i) => work(i)));
  const hashesSpent = async (): Promise<number> => {
    const text = await (await fetch(`${identity.url}/metrics`)).text();
    return Number(/^password_hashes_total\{.*\} (\d+)$/m.exec(text)![1]);
  };
  const spentBy = async (work: () => Promise<unknown>): Promise<number> => {
    const before = await hashesSpent();
    await work();
    return (await hashesSpent()) - before;
  };
  const of = (codes: string[], code: string) => codes.filter((one) => one === code).length;

  it('pauses an address for an account after ten failures, unknown accounts alike', async () => {
    const email = await member();
    for (const account of [email, 'nobody-here@example.com']) {
      const codes: string[] = [];
      for (let i = 0; i < 12; i++) codes.push(await attempt(account, 'wrong', '192.0.2.1'));
      expect(codes).toEqual([...Array(10).fill('wrong-credentials'), ...Array(2).fill('too-many-attempts')]);
    }
    await expect(attempt(email, password, '192.0.2.1')).resolves.toBe('too-many-attempts');
    await identity.query(`UPDATE sign_in_failures SET until = now()`);
    await expect(attempt(email, password, '192.0.2.1')).resolves.toBe('ok');
  });

  it('spends no hash on what it refuses, and few more than the limit on guesses side by side', async () => {
    const email = await member();
    let codes: string[] = [];
    const spent = await spentBy(async () => {
      codes = await times(40, () => attempt(email, 'wrong', '192.0.2.2'));
    });
    expect(of(codes, 'wrong-credentials')).toBe(spent);
    expect(spent).toBeGreaterThanOrEqual(10);
    expect(spent).toBeLessThanOrEqual(11);
    expect(of(codes, 'too-many-attempts')).toBe(40 - spent);
  });

  it('locks no owner out: not at an address known, and not at a new one', async () => {
    const email = await member();
    await expect(attempt(email, password, '192.0.2.10')).resolves.toBe('ok');
    for (let stranger = 0; stranger < 20; stranger++) {
      await times(10, () => attempt(email, 'wrong', `198.51.100.${stranger}`));
    }
    // All strangers together have failed so often that each new one has two tries and no more.
    const codes: string[] = [];
    for (let i = 0; i < 3; i++) codes.push(await attempt(email, 'wrong', '203.0.113.1'));
    expect(codes).toEqual(['wrong-credentials', 'wrong-credentials', 'too-many-attempts']);
    await expect(attempt(email, password, '203.0.113.2')).resolves.toBe('ok');
    for (let i = 0; i < 5; i++) await attempt(email, 'a slip', '192.0.2.10');
    await expect(attempt(email, password, '192.0.2.10')).resolves.toBe('ok');
  }, 60_000);

  it('pauses an address that fails for many accounts, but not for who is known there', async () => {
    const [neighbour, other] = [await member(), await member()];
    await expect(attempt(neighbour, password, '2001:db8:1:2::7')).resolves.toBe('ok');
    for (let i = 0; i < 100; i++) await attempt(`list-${i}@example.com`, 'wrong', `2001:db8:1:2::${i + 1}`);
    await expect(attempt(other, password, '2001:db8:1:2:ffff::1')).resolves.toBe('too-many-attempts');
    await expect(attempt(other, password, '2001:db8:1:3::1')).resolves.toBe('ok');
    await expect(attempt(neighbour, password, '2001:db8:1:2::8')).resolves.toBe('ok');
  }, 60_000);

  it('counts for one address in either notation', async () => {
    const email = await member();
    for (let i = 0; i < 10; i++) await attempt(email, 'wrong', i % 2 ? '::ffff:192.0.2.30' : '192.0.2.30');
    await expect(attempt(email, password, '192.0.2.30')).resolves.toBe('too-many-attempts');
  });

  it('costs a hash for an account that does not exist, and for a sign-up with a taken address', async () => {
    const email = await member();
    const signUp = (address: string) => identity.ask(SignUp, { email: address, password, name: 'x' });
    await expect(spentBy(() => attempt('nobody-at-all@example.com', 'wrong'))).resolves.toBe(1);
    await expect(spentBy(() => attempt(email, 'wrong'))).resolves.toBe(1);
    await expect(spentBy(() => signUp(email))).resolves.toBe(1);
    await expect(spentBy(() => signUp('fresh-address@example.com'))).resolves.toBe(1);
  });

  it('gives other networks their turn while one sends a flood', async () => {
    let isOver = false;
    const flood = times(100, (i) => attempt(`flooded-${i}@example.com`, 'wrong', '192.0.2.66')).finally(
      () => (isOver = true),
    );
    const others = await times(5, (i) => attempt(`calm-${i}@example.com`, 'wrong', `203.0.113.${60 + i}`));
    expect(isOver).toBe(false);
    expect(others).toEqual(Array(5).fill('wrong-credentials'));
    expect(of(await flood, 'too-busy')).toBeGreaterThan(30);
  }, 60_000);

  it('sheds a flood at once with a reason, and serves what it took', async () => {
    const startedAt = performance.now();
    let firstRefusal = Infinity;
    const codes = await times(200, async (i) => {
      const code = await attempt(`flood-${i}@example.com`, 'wrong');
      if (code === 'too-busy') firstRefusal = Math.min(firstRefusal, performance.now() - startedAt);
      return code;
    });
    expect(of(codes, 'too-busy') + of(codes, 'wrong-credentials')).toBe(200);
    // Two at work and those who wait, unless this machine is so busy that their turn comes too late.
    expect(of(codes, 'wrong-credentials')).toBeGreaterThan(2);
    expect(of(codes, 'too-busy')).toBeGreaterThan(30);
    expect(firstRefusal).toBeLessThan(performance.now() - startedAt);
    await expect(attempt('flood-0@example.com', 'wrong')).resolves.toBe('wrong-credentials');
  }, 60_000);
});
