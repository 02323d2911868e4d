import { globSync } from 'node:fs';

/**
 * What a process must have in its environment so that its clock can be set apart, by `FAKETIME`. Its timers go on as
 * ever, for only the time of day is moved.
 * @returns undefined where libfaketime (Debian: package libfaketime) is not installed; CHAOS_FAKETIME may name it
 */
export function findClocks(): NodeJS.ProcessEnv | undefined {
  const library =
    process.env.CHAOS_FAKETIME ??
    globSync('/{usr,usr/local}/{lib,lib64}/{,*/}faketime/libfaketimeMT.so.1')[0];
  if (!library) return undefined;
  return {
    ...{ LD_PRELOAD: library, FAKETIME: '+0', FAKETIME_NO_CACHE: '1' },
    // Its newer versions know the second name alone.
    ...{ DONT_FAKE_MONOTONIC: '1', FAKETIME_DONT_FAKE_MONOTONIC: '1' },
  };
}
