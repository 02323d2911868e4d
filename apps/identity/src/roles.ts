/**
 * Finds the first role that does not exist.
 * @param roles the setting `roles`: those in addition to `member` and `operator`
 * @returns its index, and a message
 */
export function findUnknownRole(
  wanted: readonly string[],
  roles: readonly string[],
): { index: number; message: string } | undefined {
  const known = ['member', ...roles, 'operator'];
  const index = wanted.findIndex((role) => !known.includes(role));
  return index < 0 ? undefined : { index, message: `must be one of ${known.join(', ')}` };
}
