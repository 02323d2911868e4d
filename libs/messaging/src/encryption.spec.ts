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
import { RemoteFault } from './faults.ts';

const [first, second] = [randomBytes(32).toString('base64url'), randomBytes(32).toString('base64url')];
const getKeys = (text: string) => new DecryptionKeys(ServiceKey.parse(text));
const secret = { password: 'correct horse', 이름: '김' };

describe('encrypted data', () => {
  const keys = getKeys(first);
  const [key] = keys.publicKeys;

  it('can be decrypted by every instance of the receiving service', async () => {
    const jwe = await encryptFor(key, secret, 'shop.pay');
    await expect(getKeys(first).decrypt(jwe, 'shop.pay')).resolves.toEqual(secret);
    await expect(getKeys(second).decrypt(jwe, 'shop.pay')).rejects.toThrow(UnknownKey);
    expect(jwe.text).not.toContain('horse');
    expect((await encryptFor(key, secret, 'shop.pay')).text).not.toBe(jwe.text);
  });

  it('has a standard JOSE header', async () => {
    const { text } = await encryptFor(key, undefined, 'shop.pay');
    expect(decodeProtectedHeader(text)).toEqual({
      ...{ alg: 'ECDH-ES', enc: 'A256GCM', kid: key.kid, cty: 'json', sub: 'shop.pay' },
      epk: { kty: 'OKP', crv: 'X25519', x: expect.any(String) },
    });
    expect(EncryptionKey.parse(JSON.parse(JSON.stringify(key)))).toEqual(key);
    await expect(calculateJwkThumbprint(key)).resolves.toBe(key.kid);
    await expect(keys.decrypt(new Jwe(text), 'shop.pay')).resolves.toBeNull();
  });

  it('is compatible with another JOSE library', async () => {
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

  it('can be decrypted after a rotation, until the old key is removed', async () => {
    const jwe = await encryptFor(key, secret, 'shop.pay');
    const rotated = getKeys(`${second},${first}`);
    expect(rotated.publicKeys.map(({ kid }) => kid)).toEqual([getKeys(second).publicKeys[0].kid, key.kid]);
    await expect(rotated.decrypt(jwe, 'shop.pay')).resolves.toEqual(secret);
  });

  it('cannot be decrypted for another contract, modified, or with another algorithm', async () => {
    const jwe = await encryptFor(key, secret, 'shop.pay');
    const failed = expect.objectContaining({ name: DecryptionFailed.name });
    await expect(keys.decrypt(jwe, 'shop.recall')).rejects.toEqual(failed);
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
    // The sender must not select the algorithm.
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

  it('is not quoted in errors if it is not JSON', async () => {
    const text = await new CompactEncrypt(Buffer.from('correct horse'))
      .setProtectedHeader({ alg: 'ECDH-ES', enc: 'A256GCM', kid: key.kid, sub: 'shop.pay' })
      .encrypt(key);
    const error = await keys.decrypt(new Jwe(text), 'shop.pay').catch((caught: unknown) => caught);
    expect(error).toBeInstanceOf(DecryptionFailed);
    expect(inspect(error)).not.toContain('horse');
  });

  it('never exposes its keys in logs', () => {
    const hidden = Buffer.from(first, 'base64url').toString('base64url').slice(0, 12);
    const derived = ServiceKey.parse(first).derive('decryption of messages')[0].toString('base64url');
    for (const shown of [JSON.stringify(keys), inspect(keys, { depth: 9, showHidden: true })]) {
      expect(shown).not.toContain(hidden);
      expect(shown).not.toContain(derived);
    }
  });
});

describe('the encryption key of a service', () => {
  const announce = (instance: string, text: string | undefined, startedAt: string) =>
    ({
      ...{ service: 'shop', instance, startedAt, state: 'up' },
      ...(text && { encryptionKeys: [...getKeys(text).publicKeys] }),
      contract: { requests: [{ name: 'shop.pay', sensitive: true }, { name: 'shop.look' }] },
    }) as unknown as Announcement;
  const readKid = (text: string) => getKeys(text).publicKeys[0].kid;

  it('is unknown until the service has announced one', () => {
    const recipients = new KnownRecipients(() => []);
    expect(recipients.getKey('shop')).toBeUndefined();
    recipients.receiveAnnouncement(announce('a', undefined, '1'));
    expect(recipients.getKey('shop')).toBeUndefined();
    recipients.receiveAnnouncement({ ...announce('a', first, '1'), upstream: 'http' });
    expect(recipients.getKey('shop')).toBeUndefined();
    recipients.receiveAnnouncement(announce('a', first, '1'));
    // Also without a present instance: messages wait in the queue.
    expect(recipients.getKey('shop')!.kid).toBe(readKid(first));
    expect(recipients.getKey('bank')).toBeUndefined();
  });

  it('is a key that all instances have during a rotation', () => {
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

  describe('with one login per service', () => {
    const register = (text: string | undefined, service = 'shop') =>
      new Grants([
        {
          ...{ service, calls: [], subscribesTo: [], publishes: [], isGateway: false },
          contracts: [{ name: 'shop.pay', kind: 'command', sensitive: true }],
          encryptionKeys: text === undefined ? undefined : [...getKeys(text).publicKeys],
        },
      ]);
    const attackerKey = ServiceKey.random();
    const announceAsAttacker = (keys: unknown[]) => ({
      ...announce('attacker', undefined, '9'),
      encryptionKeys: keys as Announcement['encryptionKeys'],
    });

    it('is the registered one, regardless of announcements', () => {
      const [forged] = new DecryptionKeys(attackerKey).publicKeys;
      const [real] = getKeys(first).publicKeys;
      // The second has the kid of the registered key.
      for (const keys of [[forged], [{ ...forged, kid: real.kid }], []]) {
        const present = [announceAsAttacker(keys), announce('a', first, '1')];
        let grants = register(first);
        const recipients = new KnownRecipients(
          () => present,
          () => grants,
        );
        for (const one of present) recipients.receiveAnnouncement(one);
        expect(recipients.getKey('shop')).toEqual(real);
        grants = register(undefined);
        expect(recipients.getKey('shop')).toBeUndefined();
        expect(recipients.isSensitive('shop.pay')).toBe(true);
      }
    });

    it('is a key that all instances have during a rotation', () => {
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

    it('is the own key of a service that was registered without one', () => {
      const own = getKeys(first).publicKeys[0];
      const recipients = new KnownRecipients(
        () => [],
        () => register(undefined),
        [['shop', own]],
      );
      expect(recipients.getKey('shop')).toEqual(own);
    });
  });

  it('is announced together with the sensitive requests', () => {
    const recipients = new KnownRecipients(() => []);
    expect(recipients.isSensitive('shop.pay')).toBe(false);
    recipients.receiveAnnouncement(announce('a', first, '1'));
    expect([recipients.isSensitive('shop.pay'), recipients.isSensitive('shop.look')]).toEqual([true, false]);
  });
});

describe('an error about sensitive data', () => {
  it('keeps its name, code and stack frames, but not its text', () => {
    const error = Object.assign(new TypeError('cannot read "correct horse"\nbattery'), { code: '22P02' });
    const safe = withoutText(error) as Error & { code: string };
    expect(safe).toMatchObject({ name: 'TypeError', code: '22P02' });
    expect(safe.message).toMatch(/^22P02, text left out/);
    expect(safe.stack).toContain('encryption.spec');
    expect(inspect(safe)).not.toMatch(/horse|battery/);
    expect(inspect(withoutText('correct horse'))).not.toContain('horse');
    expect(inspect(withoutText(undefined))).toContain('text left out');
  });

  it('keeps a text without data', () => {
    const fault = new RemoteFault('timeout', 'bank.pay did not answer in time');
    expect(withoutText(fault)).toBe(fault);
    expect((withoutText(new RemoteFault('internal', 'correct horse', true)) as Error).message).not.toContain(
      'horse',
    );
  });
});
