import { globSync } from 'node:fs';

/**
 * Environment variables with which the `FAKETIME` variable moves the clock of a process. Only the time of day moves;
 * timers are unaffected.
 * @returns undefined if libfaketime (Debian: package libfaketime) is not installed; CHAOS_FAKETIME may hold its path
 */
export function findClockEnvironment(): NodeJS.ProcessEnv | undefined {
  const library =
    process.env.CHAOS_FAKETIME ??
    globSync('/{usr,usr/local}/{lib,lib64}/{,*/}faketime/libfaketimeMT.so.1')[0];
  if (!library) return undefined;
  return {
    LD_PRELOAD: library,
    FAKETIME: '+0',
    FAKETIME_NO_CACHE: '1',
    // Newer versions of libfaketime read the second name only.
    DONT_FAKE_MONOTONIC: '1',
    FAKETIME_DONT_FAKE_MONOTONIC: '1',
  };
}
