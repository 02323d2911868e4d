import { argon2, randomBytes, timingSafeEqual } from 'node:crypto';
import { promisify } from 'node:util';

const derive = promisify(argon2);

/** What OWASP asks of argon2id: 19 MiB, two passes, one lane. About 35 ms of one core. */
const cost = { memory: 19_456, passes: 2, parallelism: 1 };
const tagLength = 32;

const phc = (salt: Buffer, tag: Buffer) =>
  `$argon2id$v=19$m=${cost.memory},t=${cost.passes},p=${cost.parallelism}$${unpadded(salt)}$${unpadded(tag)}`;

const unpadded = (bytes: Buffer) => bytes.toString('base64').replace(/=+$/, '');

/** The hash of no password. Checking against it costs what checking a member's costs, so time tells nothing. */
export const nobodysHash = phc(randomBytes(16), randomBytes(tagLength));

/** A salted argon2id hash as a PHC string. Off the main thread. */
export async function hashPassword(password: string): Promise<string> {
  const salt = randomBytes(16);
  return phc(
    salt,
    await derive('argon2id', { ...cost, tagLength, message: canonical(password), nonce: salt }),
  );
}

/** @throws Error where the hash is not a PHC string of argon2id */
export async function passwordFits(password: string, hash: string): Promise<boolean> {
  const parts = /^\$argon2id\$v=19\$m=(\d+),t=(\d+),p=(\d+)\$([\w+/]+)\$([\w+/]+)$/.exec(hash);
  if (!parts) throw new Error('a stored password hash is not argon2id in PHC form');
  const [memory, passes, parallelism] = parts.slice(1, 4).map(Number) as [number, number, number];
  const [nonce, expected] = parts.slice(4).map((part) => Buffer.from(part, 'base64')) as [Buffer, Buffer];
  const tag = await derive('argon2id', {
    ...{ memory, passes, parallelism, nonce },
    message: canonical(password),
    tagLength: expected.length,
  });
  return timingSafeEqual(tag, expected);
}

/** Keyboards compose the same Hangul and accents into different code points; to their owner it is one password. */
const canonical = (password: string) => password.normalize('NFKC');
