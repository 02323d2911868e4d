import { argon2, randomBytes, timingSafeEqual } from 'node:crypto';
import { promisify } from 'node:util';

const derive = promisify(argon2);

/** OWASP minimum for argon2id: 19 MiB, two passes, one lane. About 35 ms of one core. */
const cost = { memory: 19_456, passes: 2, parallelism: 1 };
const tagLength = 32;

const formatPhc = (salt: Buffer, tag: Buffer) =>
  `$argon2id$v=19$m=${cost.memory},t=${cost.passes},p=${cost.parallelism}$${toUnpaddedBase64(salt)}$${toUnpaddedBase64(tag)}`;

const toUnpaddedBase64 = (bytes: Buffer) => bytes.toString('base64').replace(/=+$/, '');

/** A hash that no password matches. Verifying against it takes the usual time, so timing does not reveal accounts. */
export const dummyHash = formatPhc(randomBytes(16), randomBytes(tagLength));

/** Creates a salted argon2id hash as a PHC string, off the main thread. */
export async function hashPassword(password: string): Promise<string> {
  const salt = randomBytes(16);
  return formatPhc(
    salt,
    await derive('argon2id', { ...cost, tagLength, message: normalizePassword(password), nonce: salt }),
  );
}

/** @throws Error if the hash is not a PHC string of argon2id */
export async function verifyPassword(password: string, hash: string): Promise<boolean> {
  const parts = /^\$argon2id\$v=19\$m=(\d+),t=(\d+),p=(\d+)\$([\w+/]+)\$([\w+/]+)$/.exec(hash);
  if (!parts) throw new Error('a stored password hash is not argon2id in PHC form');
  const [memory, passes, parallelism] = parts.slice(1, 4).map(Number) as [number, number, number];
  const [nonce, expected] = parts.slice(4).map((part) => Buffer.from(part, 'base64')) as [Buffer, Buffer];
  const tag = await derive('argon2id', {
    memory,
    passes,
    parallelism,
    nonce,
    message: normalizePassword(password),
    tagLength: expected.length,
  });
  return timingSafeEqual(tag, expected);
}

/** Keyboards produce different code points for the same Hangul and accents. NFKC makes them equal. */
const normalizePassword = (password: string) => password.normalize('NFKC');
