import { stringify } from 'yaml';

/** Values by dotted key. */
export type Flat = Record<string, string>;

type Tree = Map<string | number, Tree | string>;

/** Parses `a.b[0]` into path segments. */
const parsePath = (key: string): (string | number)[] =>
  [...key.matchAll(/\[(\d+)\]|[^.[\]]+/g)].map(([part, index]) =>
    index === undefined ? part : Number(index),
  );

/** Converts dotted keys to nested objects, as Spring does. A key stays dotted if its parent key has a value. */
export function toTree(flat: Flat): unknown {
  const root: Tree = new Map();
  for (const key of Object.keys(flat).sort())
    if (!put(root, parsePath(key), flat[key]!)) root.set(key, flat[key]!);
  return toPlain(root);
}

function put(root: Tree, path: (string | number)[], value: string): boolean {
  let tree = root;
  for (const part of path.slice(0, -1)) {
    const next = tree.get(part) ?? new Map();
    if (typeof next === 'string') return false;
    tree.set(part, next);
    tree = next;
  }
  const last = path.at(-1)!;
  if (tree.has(last)) return false;
  tree.set(last, value);
  return true;
}

/** Converts maps with numeric keys to arrays. `Object.fromEntries` defines own properties, so no key reaches a prototype. */
function toPlain(tree: Tree | string): unknown {
  if (typeof tree === 'string') return tree;
  const entries = [...tree].map(([key, value]) => [key, toPlain(value)] as const);
  const isList = entries.length > 0 && entries.every(([key]) => typeof key === 'number');
  if (isList) return entries.sort(([a], [b]) => Number(a) - Number(b)).map(([, value]) => value);
  return Object.fromEntries(entries);
}

/** Formats a file for `java.util.Properties`: ASCII only, other characters escaped. */
export function toProperties(flat: Flat): string {
  return Object.keys(flat)
    .sort()
    .map((key) => `${escapeProperty(key, true)}=${escapeProperty(flat[key]!, false)}\n`)
    .join('');
}

const escapes: Record<string, string> = { '\n': '\\n', '\r': '\\r', '\t': '\\t', '\f': '\\f' };

const escapeProperty = (text: string, isKey: boolean): string =>
  text
    .replace(isKey ? /[\\=:#! ]/g : /\\|^ /g, '\\$&')
    .replace(/[\n\r\t\f]/g, (letter) => escapes[letter]!)
    // Java escapes UTF-16 code units.
    .replace(/[^\x20-\x7e]/g, (letter) => `\\u${letter.charCodeAt(0).toString(16).padStart(4, '0')}`);

/** The supported formats by file extension. */
export const formats: Record<string, { type: string; write(flat: Flat): string }> = {
  yml: { type: 'text/plain; charset=utf-8', write: (flat) => stringify(toTree(flat)) },
  yaml: { type: 'text/plain; charset=utf-8', write: (flat) => stringify(toTree(flat)) },
  properties: { type: 'text/plain; charset=utf-8', write: toProperties },
  json: { type: 'application/json; charset=utf-8', write: (flat) => JSON.stringify(toTree(flat)) },
};
