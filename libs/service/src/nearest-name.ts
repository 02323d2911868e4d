/** The Levenshtein distance of two texts. */
function getDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (let i = 1; i <= a.length; i += 1) {
    const next = [i];
    for (let j = 1; j <= b.length; j += 1) {
      const change = row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(change, row[j]! + 1, next[j - 1]! + 1));
    }
    row = next;
  }
  return row[b.length]!;
}

/** Finds the most similar name; undefined if none is similar. */
export function nearestName(given: string, names: readonly string[]): string | undefined {
  const byDistance = names
    .map((name) => ({ name, distance: getDistance(given.toLowerCase(), name.toLowerCase()) }))
    .sort((a, b) => a.distance - b.distance);
  const [first] = byDistance;
  return first && first.distance <= Math.ceil(given.length / 3) ? first.name : undefined;
}
