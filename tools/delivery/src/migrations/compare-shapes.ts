import type { Column, DatabaseShape, Relation } from './database-shape.ts';

/**
 * Finds what breaks a version that is still running when its database changes: statements that no longer work, and rows that
 * it writes and that the database then rejects. Changed data is not seen.
 * @returns one sentence each; empty if the change only adds
 */
export function compareShapes(before: DatabaseShape, after: DatabaseShape): string[] {
  const relations = [...before.relations].flatMap(([name, relation]) => {
    const later = after.relations.get(name);
    return later ? compareRelations(name, relation, later) : [`the table ${name} is dropped or renamed`];
  });
  const objects = [...before.objects].filter((name) => !after.objects.has(name));
  const values = [...before.enums].flatMap(([name, labels]) =>
    labels
      .filter((label) => !after.enums.get(name)?.includes(label))
      .map((label) => `the value ${label} of the type ${name} is removed or renamed`),
  );
  return [...relations, ...objects.map((name) => `${name} is dropped or renamed`), ...values];
}

function compareRelations(name: string, before: Relation, after: Relation): string[] {
  const known = [...before.columns].flatMap(([column, shape]) => {
    const later = after.columns.get(column);
    const at = `${name}.${column}`;
    return later ? compareColumns(at, shape, later) : [`the column ${at} is dropped or renamed`];
  });
  const added = [...after.columns]
    .filter(([column, shape]) => !before.columns.has(column) && !shape.isNullable && !shape.hasDefault)
    .map(([column]) => `the new column ${name}.${column} is NOT NULL and has no default`);
  return [
    ...known,
    ...added,
    ...compareConstraints(name, before, after),
    ...compareUniques(name, before, after),
  ];
}

function compareColumns(at: string, before: Column, after: Column): string[] {
  return [
    ...(canRead(before.type, after.type)
      ? []
      : [`the type of ${at} changes from ${before.type} to ${after.type}`]),
    ...(before.isNullable && !after.isNullable ? [`${at} becomes NOT NULL`] : []),
    ...(before.hasDefault && !after.hasDefault && !after.isNullable ? [`${at} has no default any more`] : []),
    ...(!before.isGenerated && after.isGenerated ? [`${at} can no longer be written`] : []),
  ];
}

/**
 * Whether all values of a type fit another one, and arrive in the same form. A bigint does not: the driver returns it as a
 * text.
 */
function canRead(before: string, after: string): boolean {
  if (before === after) return true;
  const [was, is] = [parseType(before), parseType(after)];
  const isLonger = was.size <= is.size;
  if (was.name === 'character varying') return is.name === 'text' || (is.name === was.name && isLonger);
  if (was.name === 'numeric')
    return is.name === was.name && isLonger && (is.size === Infinity || was.scale === is.scale);
  return was.name === 'smallint' && is.name === 'integer';
}

function parseType(type: string): { name: string; size: number; scale: number } {
  const [, name = type, size, scale] = /^([^(]+)\((\d+)(?:,(\d+))?\)$/.exec(type) ?? [];
  return { name, size: size === undefined ? Infinity : Number(size), scale: Number(scale ?? 0) };
}

function compareConstraints(name: string, before: Relation, after: Relation): string[] {
  return [...after.constraints].flatMap(([constraint, { definition, columns }]) => {
    const earlier = before.constraints.get(constraint);
    if (earlier && permitsAll(earlier.definition, definition)) return [];
    if (!earlier && columns.length > 0 && columns.every((one) => !before.columns.has(one))) return [];
    const verb = earlier ? 'changes' : 'is new';
    return [`the constraint ${constraint} of ${name} ${verb}: ${definition}`];
  });
}

const listOfValues = /\(ARRAY\[(.*?)\]\)/;

/** Whether a constraint permits all that another one permits: it is equal, or lists more values. */
function permitsAll(before: string, after: string): boolean {
  if (before === after) return true;
  const [was, is] = [before, after].map((one) => listOfValues.exec(one)?.[1]?.split(', '));
  if (!was || !is || before.replace(listOfValues, '') !== after.replace(listOfValues, '')) return false;
  return was.every((value) => is.includes(value));
}

/** A new unique index rejects rows; a removed one breaks `ON CONFLICT`. */
function compareUniques(name: string, before: Relation, after: Relation): string[] {
  const removed = [...before.uniques.keys()].filter((one) => !after.uniques.has(one));
  const added = [...after.uniques].filter(
    ([one, { columns }]) =>
      !before.uniques.has(one) &&
      !columns.some((column) => !before.columns.has(column) && after.columns.get(column)?.isNullable),
  );
  return [
    ...removed.map((one) => `the unique index of ${name} is dropped: ${one}`),
    ...added.map(([one]) => `${name} has a new unique index: ${one}`),
  ];
}
