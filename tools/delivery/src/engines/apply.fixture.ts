type Fields = Record<string, unknown>;
const isFields = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/**
 * Server-side apply for one manager: sets the applied fields, and removes those that it applied before and no longer applies.
 * Fields of others stay. Lists are replaced as a whole.
 */
export function applyFields(live: Fields, before: Fields, applied: Fields): Fields {
  const result = { ...live };
  for (const key of Object.keys(before)) if (!(key in applied)) delete result[key];
  for (const [key, value] of Object.entries(applied)) {
    const [old, previous] = [live[key], before[key]];
    result[key] = isFields(value)
      ? applyFields(isFields(old) ? old : {}, isFields(previous) ? previous : {}, value)
      : value;
  }
  return result;
}

/** RFC 7396. */
export function mergeFields(live: Fields, part: Fields): Fields {
  const result = { ...live };
  for (const [key, value] of Object.entries(part)) {
    const old = live[key];
    if (value === null) delete result[key];
    else result[key] = isFields(value) ? mergeFields(isFields(old) ? old : {}, value) : value;
  }
  return result;
}
