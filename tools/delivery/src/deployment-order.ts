/** One service must be deployed before another one. */
export interface Precedence {
  before: string;
  after: string;
}

/**
 * Sorts services for their deployment.
 * @param services the names @param precedences what must be deployed first
 * @param preferred by service, those that are deployed first where no precedence decides
 * @returns `order` has all services; those of a cycle come where the precedences with others permit
 */
export function findOrder(
  services: readonly string[],
  precedences: readonly Precedence[],
  preferred: ReadonlyMap<string, ReadonlySet<string>> = new Map(),
): { order: string[]; cycles: string[][] } {
  const cycles = findCycles(services, precedences);
  const isInCycle = ({ before, after }: Precedence): boolean =>
    cycles.some((cycle) => cycle.includes(before) && cycle.includes(after));
  const binding = precedences.filter((one) => !isInCycle(one));
  const left = new Set([...services].sort());
  const order: string[] = [];
  while (left.size > 0) {
    const ready = [...left].filter((name) =>
      binding.every(({ before, after }) => after !== name || !left.has(before)),
    );
    const countFirst = (name: string): number =>
      [...(preferred.get(name) ?? [])].filter((one) => left.has(one)).length;
    const next = ready.reduce((best, name) => (countFirst(name) < countFirst(best) ? name : best));
    order.push(next);
    left.delete(next);
  }
  return { order, cycles };
}

/** Groups of services that each reach all others of their group. */
function findCycles(services: readonly string[], precedences: readonly Precedence[]): string[][] {
  const reachable = new Map(services.map((name) => [name, findReachable(name, precedences)]));
  const groups = services.map((name) =>
    services.filter((other) => reachable.get(name)!.has(other) && reachable.get(other)!.has(name)).sort(),
  );
  const distinct = new Map(groups.filter((group) => group.length > 1).map((group) => [group.join(), group]));
  return [...distinct.values()];
}

function findReachable(name: string, precedences: readonly Precedence[]): Set<string> {
  const found = new Set<string>();
  const queue = [name];
  for (let current = queue.pop(); current !== undefined; current = queue.pop())
    for (const { before, after } of precedences)
      if (before === current && !found.has(after)) {
        found.add(after);
        queue.push(after);
      }
  return found;
}
