import { stringify } from 'yaml';

/** Settings by dotted key. */
export type Flat = Record<string, string>;

type Tree = Map<string | number, Tree | string>;

/** `a.b[0]` as the path it stands for. */
const parsePath = (key: string): (string | number)[] =>
  [...key.matchAll(/\[(\d+)\]|[^.[\]]+/g)].map(([part, index]) =>
    index === undefined ? part : Number(index),
  );

/** Dotted keys as a tree, as Spring shows them. A key whose place is taken by a value of its own stays as it is written. */
export function nested(flat: Flat): unknown {
  const root: Tree = new Map();
  for (const key of Object.keys(flat).sort())
    if (!put(root, parsePath(key), flat[key]!)) root.set(key, flat[key]!);
  return plain(root);
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

/** A tree with numbers for keys is a list. `fromEntries` defines: no key reaches a prototype. */
function plain(tree: Tree | string): unknown {
  if (typeof tree === 'string') return tree;
  const entries = [...tree].map(([key, value]) => [key, plain(value)] as const);
  const isList = entries.length > 0 && entries.every(([key]) => typeof key === 'number');
  if (isList) return entries.sort(([a], [b]) => Number(a) - Number(b)).map(([, value]) => value);
  return Object.fromEntries(entries);
}

/** As Java's `Properties` reads it: Latin letters as they are, all others escaped. */
export function properties(flat: Flat): string {
  return Object.keys(flat)
    .sort()
    .map((key) => `${escaped(key, true)}=${escaped(flat[key]!, false)}\n`)
    .join('');
}

const names: Record<string, string> = { '\n': '\\n', '\r': '\\r', '\t': '\\t', '\f': '\\f' };

const escaped = (text: string, isKey: boolean): string =>
  text
    .replace(isKey ? /[\\=:#! ]/g : /\\|^ /g, '\\$&')
    .replace(/[\n\r\t\f]/g, (letter) => names[letter]!)
    // By UTF-16 unit, as Java escapes.
    .replace(/[^\x20-\x7e]/g, (letter) => `\\u${letter.charCodeAt(0).toString(16).padStart(4, '0')}`);

/** Each form under the ending that a client asks for it with. */
export const formats: Record<string, { type: string; write(flat: Flat): string }> = {
  yml: { type: 'text/plain; charset=utf-8', write: (flat) => stringify(nested(flat)) },
  yaml: { type: 'text/plain; charset=utf-8', write: (flat) => stringify(nested(flat)) },
  properties: { type: 'text/plain; charset=utf-8', write: properties },
  json: { type: 'application/json; charset=utf-8', write: (flat) => JSON.stringify(nested(flat)) },
};
