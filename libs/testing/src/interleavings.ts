/**
 * All interleavings of several sequences; each sequence keeps its own order.
 * For tests that enumerate the effects of concurrency and crashes instead of relying on chance.
 */
export function interleavings<T>(sequences: readonly (readonly T[])[]): T[][] {
  const open = sequences.filter((sequence) => sequence.length > 0);
  if (open.length === 0) return [[]];
  return open.flatMap((sequence) => {
    const rest = open.map((one) => (one === sequence ? one.slice(1) : one));
    return interleavings(rest).map((after) => [sequence[0]!, ...after]);
  });
}

/** All combinations of one element per group: the cartesian product. */
export const cartesianProduct = <T>(groups: readonly (readonly T[])[]): T[][] =>
  groups.reduce<T[][]>((all, group) => all.flatMap((one) => group.map((next) => [...one, next])), [[]]);
