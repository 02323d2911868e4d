import { describe, expect, it } from '@jest/globals';
import { secretMask } from '@jogakbo/contracts-config';
import { compareSettings, toListItems, type StoredSetting } from './config-version.ts';

const createSetting = (value: string, secret = false): StoredSetting => ({
  value,
  secret,
  version: 1,
  by: 'kim',
  at: '2026-11-21T00:00:00.000Z',
});

describe('settings shown to operators', () => {
  it('are compared by key, in key order', () => {
    const before = { stays: createSetting('1'), changes: createSetting('1'), leaves: createSetting('1') };
    const after = {
      stays: { ...createSetting('1'), version: 2 },
      changes: createSetting('2'),
      comes: createSetting('3'),
    };
    expect(compareSettings(before, after)).toEqual([
      { key: 'changes', before: '1', after: '2' },
      { key: 'comes', before: null, after: '3' },
      { key: 'leaves', before: '1', after: null },
    ]);
  });

  it('show whether a secret changed or a value became secret, and mask the secret', () => {
    expect(
      compareSettings(
        { pin: createSetting('ciphertext 1', true) },
        { pin: createSetting('ciphertext 2', true) },
      ),
    ).toEqual([{ key: 'pin', before: secretMask, after: secretMask }]);
    expect(
      compareSettings({ pin: createSetting('1234') }, { pin: createSetting('ciphertext', true) }),
    ).toEqual([{ key: 'pin', before: '1234', after: secretMask }]);
    expect(toListItems({ pin: createSetting('ciphertext', true), a: createSetting('1') })).toMatchObject([
      { key: 'a', value: '1' },
      { key: 'pin', value: secretMask, secret: true },
    ]);
  });
});
