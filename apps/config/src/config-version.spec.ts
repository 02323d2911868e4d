import { describe, expect, it } from '@jest/globals';
import { masked } from '@jogakbo/contracts-config';
import { differences, listed, type StoredSetting } from './config-version.ts';

const kept = (value: string, secret = false): StoredSetting => ({
  ...{ value, secret, version: 1, by: 'kim', at: '2026-11-21T00:00:00.000Z' },
});

describe('settings as an operator sees them', () => {
  it('differ by key, in the order of keys', () => {
    const before = { stays: kept('1'), changes: kept('1'), leaves: kept('1') };
    const after = { stays: { ...kept('1'), version: 2 }, changes: kept('2'), comes: kept('3') };
    expect(differences(before, after)).toEqual([
      { key: 'changes', before: '1', after: '2' },
      { key: 'comes', before: null, after: '3' },
      { key: 'leaves', before: '1', after: null },
    ]);
  });

  it('show of a secret that it changed, or became one, and nothing more', () => {
    expect(differences({ pin: kept('sealed 1', true) }, { pin: kept('sealed 2', true) })).toEqual([
      { key: 'pin', before: masked, after: masked },
    ]);
    expect(differences({ pin: kept('1234') }, { pin: kept('sealed', true) })).toEqual([
      { key: 'pin', before: '1234', after: masked },
    ]);
    expect(listed({ pin: kept('sealed', true), a: kept('1') })).toMatchObject([
      { key: 'a', value: '1' },
      { key: 'pin', value: masked, secret: true },
    ]);
  });
});
