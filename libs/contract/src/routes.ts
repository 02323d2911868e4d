/** The parameters of a path, in order: `/v1/loans/{loanId}` gives `['loanId']`. */
export function pathParameters(path: string): string[] {
  return [...path.matchAll(/\{(\w+)\}/g)].map((match) => match[1]!);
}

/**
 * Whether a request can match both routes: the same method, and paths that differ only where one has a parameter.
 * @param a `METHOD /path/{parameter}`; the method `*` is any, and a last segment `*` is the path itself and all beneath it
 * @param b likewise
 */
export function routesOverlap(a: string, b: string): boolean {
  const [[method, path], [otherMethod, otherPath]] = [a.split(' '), b.split(' ')] as [string[], string[]];
  if (method !== otherMethod && method !== '*' && otherMethod !== '*') return false;
  const [one, other] = [path!.split('/'), otherPath!.split('/')];
  const isOpen = (part: string): boolean => part.startsWith('{');
  for (let at = 0; ; at += 1) {
    const [part, otherPart] = [one[at], other[at]];
    if (part === '*' || otherPart === '*') return true;
    if (part === undefined || otherPart === undefined) return part === otherPart;
    if (part !== otherPart && !isOpen(part) && !isOpen(otherPart)) return false;
  }
}
