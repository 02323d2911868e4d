interface Tracked {
  proxy: object;
  path: string;
  read: Set<string>;
  /** The validator has looked at all keys: the object is a map, such as labels. */
  isListed: boolean;
}

/**
 * Runs a validator that was compiled from a JSON Schema, and finds the keys that its schema does not have. Such a validator
 * reads each property of its schema and no other one. An object of which it reads nothing may contain anything.
 * @returns the paths of the unknown keys, such as `spec.replica`
 */
export function findUnknownKeys(data: object, validate: (data: object) => void): string[] {
  const tracked = new Map<object, Tracked>();
  validate(track(data, '', tracked));
  return [...tracked].flatMap(([object, { path, read, isListed }]) =>
    Array.isArray(object) || isListed || read.size === 0
      ? []
      : Object.keys(object)
          .filter((key) => !read.has(key))
          .map((key) => joinPath(path, key)),
  );
}

const joinPath = (path: string, key: string): string => (path ? `${path}.${key}` : key);

function track(object: object, path: string, tracked: Map<object, Tracked>): object {
  const known = tracked.get(object);
  if (known) return known.proxy;
  const entry: Tracked = { proxy: object, path, read: new Set(), isListed: false };
  tracked.set(object, entry);
  entry.proxy = new Proxy(object, {
    get(target, key) {
      const value = Reflect.get(target, key) as unknown;
      if (typeof key === 'symbol') return value;
      entry.read.add(key);
      return typeof value === 'object' && value !== null ? track(value, joinPath(path, key), tracked) : value;
    },
    has(target, key) {
      if (typeof key === 'string') entry.read.add(key);
      return Reflect.has(target, key);
    },
    ownKeys(target) {
      entry.isListed = true;
      return Reflect.ownKeys(target);
    },
  });
  return entry.proxy;
}
