/** A version of a service as the registry recorded it. */
export interface KnownVersion {
  version: string;
  /** ISO 8601. */
  firstSeen: string;
}

/**
 * Whether a version is another one or came after it. Numbers decide (`1.4.0`). Of versions with equal numbers, which differ
 * in their content hash only (`1.4.0-0a1b2c3d4e`), the one that was deployed later came after.
 * @returns false if that is not known
 */
export function isSince(version: string, since: string, history: readonly KnownVersion[]): boolean {
  if (version === since) return true;
  const [numbers, sinceNumbers] = [parseNumbers(version), parseNumbers(since)];
  for (const index of [0, 1, 2])
    if (numbers[index] !== sinceNumbers[index]) return (numbers[index] ?? -1) > (sinceNumbers[index] ?? -1);
  if (!since.includes('-')) return true;
  const [first, sinceFirst] = [findFirstSeen(version, history), findFirstSeen(since, history)];
  return first !== undefined && sinceFirst !== undefined && first > sinceFirst;
}

const parseNumbers = (version: string): number[] => version.split('-')[0]!.split('.').map(Number);

const findFirstSeen = (version: string, history: readonly KnownVersion[]): string | undefined =>
  history
    .filter((one) => one.version === version)
    .map(({ firstSeen }) => firstSeen)
    .sort()[0];
