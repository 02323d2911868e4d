import { inspect } from 'node:util';
import { randomBytes } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import { EncryptionKey, type Announcement } from '@jogakbo/contract';
import {
  calculateJwkThumbprint,
  compactDecrypt,
  CompactEncrypt,
  decodeProtectedHeader,
  exportJWK,
  generateKeyPair,
} from 'jose';
import { DecryptionFailed, DecryptionKeys, encryptFor, Jwe, UnknownKey } from './encryption.ts';
import { withoutText } from './error-without-text.ts';
import { Grants } from './grants.ts';
import { KnownRecipients } from './recipients.ts';
import { ServiceKey } from './service-key.ts';
import { RemoteFault } from './wire.ts';

const [first, second] = [randomBytes(32).toString('base64url'), randomBytes(32).toString('base64url')];
const getKeys = (text: string) => new DecryptionKeys(ServiceKey.parse(text));
const secret = { password: 'correct horse', 이름: '김' };

describe('encrypted data', () => {
  const keys = getKeys(first);
  const [key] = keys.publicKeys;

  it('is read by every instance of the service that it is for', async () => {
    const jwe = await encryptFor(key, secret, 'shop.pay');
    await expect(getKeys(first).decrypt(jwe, 'shop.pay')).resolves.toEqual(secret);
    await expect(getKeys(second).decrypt(jwe, 'shop.pay')).rejects.toThrow(UnknownKey);
    expect(jwe.text).not.toContain('horse');
    expect((await encryptFor(key, secret, 'shop.pay')).text).not.toBe(jwe.text);
  });

  it('says by what it was encrypted, in the words of JOSE', async () => {
    const { text } = await encryptFor(key, undefined, 'shop.pay');
    expect(decodeProtectedHeader(text)).toEqual({
      ...{ alg: 'ECDH-ES', enc: 'A256GCM', kid: key.kid, cty: 'json', sub: 'shop.pay' },
      epk: { kty: 'OKP', crv: 'X25519', x: expect.any(String) },
    });
    expect(EncryptionKey.parse(JSON.parse(JSON.stringify(key)))).toEqual(key);
    await expect(calculateJwkThumbprint(key)).resolves.toBe(key.kid);
    await expect(keys.decrypt(new Jwe(text), 'shop.pay')).resolves.toBeNull();
  });

  it('is read and written by another JOSE library', async () => {
    const { publicKey, privateKey } = await generateKeyPair('ECDH-ES', { crv: 'X25519', extractable: true });
    const other = { ...(await exportJWK(publicKey)), kid: 'other' } as unknown as typeof key;
    const { text } = await encryptFor(other, secret, 'shop.pay');
    const { plaintext } = await compactDecrypt(text, privateKey);
    expect(JSON.parse(new TextDecoder().decode(plaintext))).toEqual(secret);
    for (const parties of [{}, { apu: Buffer.from('gateway'), apv: Buffer.from('shop') }]) {
      const encrypt = new CompactEncrypt(Buffer.from(JSON.stringify(secret)))
        .setProtectedHeader({ alg: 'ECDH-ES', enc: 'A256GCM', kid: key.kid, sub: 'shop.pay' })
        .setKeyManagementParameters(parties);
      await expect(keys.decrypt(new Jwe(await encrypt.encrypt(key)), 'shop.pay')).resolves.toEqual(secret);
    }
  });

  it('stays readable after a rotation, until the old key is taken away', async () => {
    const jwe = await encryptFor(key, secret, 'shop.pay');
    const rotated = getKeys(`${second},${first}`);
    expect(rotated.publicKeys.map(({ kid }) => kid)).toEqual([getKeys(second).publicKeys[0].kid, key.kid]);
    await expect(rotated.decrypt(jwe, 'shop.pay')).resolves.toEqual(secret);
  });

  it('is refused as something else, changed, or encrypted in another way', async () => {
    const jwe = await encryptFor(key, secret, 'shop.pay');
    const failed = expect.objectContaining({ name: DecryptionFailed.name });
    await expect(keys.decrypt(jwe, 'shop.refund')).rejects.toEqual(failed);
    const parts = jwe.text.split('.');
    for (const part of [0, 2, 3, 4]) {
      const bytes = Buffer.from(parts[part]!, 'base64url');
      bytes[bytes.length >> 1]! ^= 1;
      const changed = parts.with(part, bytes.toString('base64url')).join('.');
      await expect(keys.decrypt(new Jwe(changed), 'shop.pay')).rejects.toThrow();
    }
    const otherLastBits = jwe.text.replace(/.$/, (last) => String.fromCharCode(last.charCodeAt(0) + 1));
    expect(Buffer.from(otherLastBits.split('.')[4]!, 'base64url')).toEqual(
      Buffer.from(parts[4]!, 'base64url'),
    );
    for (const text of ['', 'a.b', '....', `${jwe.text}.`, `${jwe.text}=`, ` ${jwe.text}`, otherLastBits])
      await expect(keys.decrypt(new Jwe(text), 'shop.pay')).rejects.toEqual(failed);
    // What only a sender chooses must not choose how it is decrypted.
    const { publicKey } = await generateKeyPair('RSA-OAEP-256');
    const others = [
      new CompactEncrypt(Buffer.from('{}'))
        .setProtectedHeader({ alg: 'RSA-OAEP-256', enc: 'A256GCM', kid: key.kid, sub: 'shop.pay' })
        .encrypt(publicKey),
      new CompactEncrypt(Buffer.from('{}'))
        .setProtectedHeader({ alg: 'dir', enc: 'A256GCM', kid: key.kid, sub: 'shop.pay' })
        .encrypt(randomBytes(32)),
      new CompactEncrypt(Buffer.from('{}'))
        .setProtectedHeader({ alg: 'ECDH-ES', enc: 'A128CBC-HS256', kid: key.kid, sub: 'shop.pay' })
        .encrypt(key),
    ];
    for (const text of await Promise.all(others))
      await expect(keys.decrypt(new Jwe(text), 'shop.pay')).rejects.toEqual(failed);
  });

  it('that is no JSON is quoted in no error', async () => {
    const text = await new CompactEncrypt(Buffer.from('correct horse'))
      .setProtectedHeader({ alg: 'ECDH-ES', enc: 'A256GCM', kid: key.kid, sub: 'shop.pay' })
      .encrypt(key);
    const error = await keys.decrypt(new Jwe(text), 'shop.pay').catch((caught: unknown) => caught);
    expect(error).toBeInstanceOf(DecryptionFailed);
    expect(inspect(error)).not.toContain('horse');
  });

  it('leaves its keys in no log', () => {
    const hidden = Buffer.from(first, 'base64url').toString('base64url').slice(0, 12);
    const derived = ServiceKey.parse(first).derive('decryption of messages')[0].toString('base64url');
    for (const shown of [JSON.stringify(keys), inspect(keys, { depth: 9, showHidden: true })]) {
      expect(shown).not.toContain(hidden);
      expect(shown).not.toContain(derived);
    }
  });
});

describe('the key to encrypt with', () => {
  const announce = (instance: string, text: string | undefined, startedAt: string) =>
    ({
      ...{ service: 'shop', instance, startedAt, state: 'up' },
      ...(text && { encryptionKeys: [...getKeys(text).publicKeys] }),
      contract: { requests: [{ name: 'shop.pay', sensitive: true }, { name: 'shop.look' }] },
    }) as unknown as Announcement;
  const readKid = (text: string) => getKeys(text).publicKeys[0].kid;

  it('is unknown until its service has announced one', () => {
    const recipients = new KnownRecipients(() => []);
    expect(recipients.getKey('shop')).toBeUndefined();
    recipients.hear(announce('a', undefined, '1'));
    expect(recipients.getKey('shop')).toBeUndefined();
    recipients.hear({ ...announce('a', first, '1'), upstream: 'http' });
    expect(recipients.getKey('shop')).toBeUndefined();
    recipients.hear(announce('a', first, '1'));
    // Also while no instance is there: what is sent meanwhile waits for one.
    expect(recipients.getKey('shop')!.kid).toBe(readKid(first));
    expect(recipients.getKey('bank')).toBeUndefined();
  });

  it('is one that all instances have, while it is being rotated', () => {
    let present = [announce('a', first, '1')];
    const recipients = new KnownRecipients(() => present);
    expect(recipients.getKey('shop')!.kid).toBe(readKid(first));
    present = [announce('b', `${second},${first}`, '2'), ...present];
    expect(recipients.getKey('shop')!.kid).toBe(readKid(first));
    present = [announce('b', `${second},${first}`, '2'), announce('c', `${second},${first}`, '1')];
    expect(recipients.getKey('shop')!.kid).toBe(readKid(second));
    present = [announce('b', second, '2'), announce('a', first, '1')];
    expect(recipients.getKey('shop')!.kid).toBe(readKid(second));
    present = [];
    expect(recipients.getKey('shop')!.kid).toBe(readKid(second));
  });

  describe('where every service has a login of its own', () => {
    const register = (text: string | undefined, service = 'shop') =>
      new Grants([
        {
          ...{ service, calls: [], hears: [], tells: [], isGateway: false },
          contracts: [{ name: 'shop.pay', kind: 'command', sensitive: true }],
          encryptionKeys: text === undefined ? undefined : [...getKeys(text).publicKeys],
        },
      ]);
    const thief = ServiceKey.random();
    const announceAsThief = (keys: unknown[]) => ({
      ...announce('thief', undefined, '9'),
      encryptionKeys: keys as Announcement['encryptionKeys'],
    });

    it('is one that the deploy step registered, whatever is announced', () => {
      const [stolen] = new DecryptionKeys(thief).publicKeys;
      const [real] = getKeys(first).publicKeys;
      // The second is called like the registered one.
      for (const keys of [[stolen], [{ ...stolen, kid: real.kid }], []]) {
        const present = [announceAsThief(keys), announce('a', first, '1')];
        let grants = register(first);
        const recipients = new KnownRecipients(
          () => present,
          () => grants,
        );
        for (const one of present) recipients.hear(one);
        expect(recipients.getKey('shop')).toEqual(real);
        grants = register(undefined);
        expect(recipients.getKey('shop')).toBeUndefined();
        expect(recipients.isSensitive('shop.pay')).toBe(true);
      }
    });

    it('is one that all instances have, while it is being rotated', () => {
      let present: Announcement[] = [];
      let grants = register(`${second},${first}`);
      const recipients = new KnownRecipients(
        () => present,
        () => grants,
      );
      expect(recipients.getKey('shop')!.kid).toBe(readKid(first));
      present = [announce('b', `${second},${first}`, '2'), announce('a', first, '1')];
      expect(recipients.getKey('shop')!.kid).toBe(readKid(first));
      present = [announce('b', `${second},${first}`, '2')];
      expect(recipients.getKey('shop')!.kid).toBe(readKid(second));
      grants = register(second);
      expect(recipients.getKey('shop')!.kid).toBe(readKid(second));
    });

    it('is its own for a service that the deploy step registered without one', () => {
      const own = getKeys(first).publicKeys[0];
      const recipients = new KnownRecipients(
        () => [],
        () => register(undefined),
        [['shop', own]],
      );
      expect(recipients.getKey('shop')).toEqual(own);
    });
  });

  it('comes with what must be encrypted', () => {
    const recipients = new KnownRecipients(() => []);
    expect(recipients.isSensitive('shop.pay')).toBe(false);
    recipients.hear(announce('a', first, '1'));
    expect([recipients.isSensitive('shop.pay'), recipients.isSensitive('shop.look')]).toEqual([true, false]);
  });
});

describe('an error about sensitive data', () => {
  it('keeps its kind, its code and its place, and loses its text', () => {
    const error = Object.assign(new TypeError('cannot read "correct horse"\nbattery'), { code: '22P02' });
    const told = withoutText(error) as Error & { code: string };
    expect(told).toMatchObject({ name: 'TypeError', code: '22P02' });
    expect(told.message).toMatch(/^22P02, text left out/);
    expect(told.stack).toContain('encryption.spec');
    expect(inspect(told)).not.toMatch(/horse|battery/);
    expect(inspect(withoutText('correct horse'))).not.toContain('horse');
    expect(inspect(withoutText(undefined))).toContain('text left out');
  });

  it('keeps a text that holds no data', () => {
    const fault = new RemoteFault('timeout', 'bank.pay did not answer in time');
    expect(withoutText(fault)).toBe(fault);
    expect((withoutText(new RemoteFault('internal', 'correct horse', true)) as Error).message).not.toContain(
      'horse',
    );
  });
});
