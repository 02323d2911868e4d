/** Runs a SQL query. */
export type QueryDatabase = <Row>(sql: string) => Promise<Row[]>;

export interface Column {
  /** With its length or precision: `character varying(40)`. */
  type: string;
  isNullable: boolean;
  /** Whether a row gets a value if an INSERT does not name the column: by a default, a sequence or an expression. */
  hasDefault: boolean;
  /** Whether an INSERT cannot set it. */
  isGenerated: boolean;
}

/** A table or view. */
export interface Relation {
  columns: Map<string, Column>;
  /** Constraints that reject rows, by name: CHECK, FOREIGN KEY and EXCLUDE. */
  constraints: Map<string, { definition: string; columns: string[] }>;
  /** Unique indexes, by their columns and condition: primary keys and UNIQUE constraints too. */
  uniques: Map<string, { columns: string[] }>;
}

/** What the statements of a service can see of its database. */
export interface DatabaseShape {
  relations: Map<string, Relation>;
  /** Functions with their argument types, and sequences. */
  objects: Set<string>;
  /** The values of enum types. */
  enums: Map<string, string[]>;
}

/** Of the schemas of a service, without the table in which TypeORM records migrations. */
const inOwnSchema = `nspname NOT LIKE 'pg\\_%' AND nspname <> 'information_schema'`;
const isOwnTable = `relkind IN ('r', 'p', 'v', 'm', 'f') AND relname <> 'migrations'`;
/** Without the schema if it is the default one. */
const relationName = `CASE nspname WHEN 'public' THEN relname ELSE nspname || '.' || relname END`;
const from = `pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace`;

/** Reads the shape of a PostgreSQL database from its system tables. */
export async function readDatabaseShape(query: QueryDatabase): Promise<DatabaseShape> {
  const relations = await readColumns(query);
  await readConstraints(query, relations);
  await readUniques(query, relations);
  const objects = await query<{ name: string }>(`
    SELECT p.oid::regprocedure::text AS name FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
      WHERE ${inOwnSchema}
    UNION ALL SELECT 'sequence ' || ${relationName} FROM ${from} WHERE ${inOwnSchema} AND relkind = 'S'
      AND relname <> 'migrations_id_seq'`);
  const enums = await query<{ name: string; labels: string[] }>(`
    SELECT t.typname AS name, array_agg(e.enumlabel::text) AS labels
    FROM pg_enum e JOIN pg_type t ON t.oid = e.enumtypid GROUP BY t.typname`);
  return {
    relations,
    objects: new Set(objects.map(({ name }) => name)),
    enums: new Map(enums.map(({ name, labels }) => [name, labels])),
  };
}

async function readColumns(query: QueryDatabase): Promise<Map<string, Relation>> {
  const rows = await query<{ relation: string; column: string | null } & Column>(`
    SELECT ${relationName} AS relation, a.attname AS column, format_type(a.atttypid, a.atttypmod) AS type,
      NOT a.attnotnull AS "isNullable", a.atthasdef OR a.attidentity <> '' AS "hasDefault",
      a.attgenerated <> '' OR a.attidentity = 'a' AS "isGenerated"
    FROM ${from} LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    WHERE ${inOwnSchema} AND ${isOwnTable}`);
  const relations = new Map<string, Relation>();
  for (const { relation, column, ...shape } of rows) {
    const known = relations.get(relation) ?? {
      columns: new Map(),
      constraints: new Map(),
      uniques: new Map(),
    };
    if (column !== null) known.columns.set(column, shape);
    relations.set(relation, known);
  }
  return relations;
}

const columnNames = (attributes: string, relation: string) => `
  ARRAY(SELECT attname::text FROM pg_attribute WHERE attrelid = ${relation} AND attnum = ANY (${attributes}))`;

async function readConstraints(query: QueryDatabase, relations: Map<string, Relation>): Promise<void> {
  const rows = await query<{ relation: string; name: string; definition: string; columns: string[] }>(`
    SELECT ${relationName} AS relation, k.conname AS name, pg_get_constraintdef(k.oid) AS definition,
      ${columnNames('k.conkey', 'c.oid')} AS columns
    FROM pg_constraint k JOIN ${from} ON c.oid = k.conrelid
    WHERE ${inOwnSchema} AND ${isOwnTable} AND k.contype IN ('c', 'f', 'x')`);
  for (const { relation, name, ...constraint } of rows)
    relations.get(relation)?.constraints.set(name, constraint);
}

async function readUniques(query: QueryDatabase, relations: Map<string, Relation>): Promise<void> {
  const rows = await query<{ relation: string; definition: string; columns: string[] }>(`
    SELECT ${relationName} AS relation, ${columnNames('i.indkey', 'c.oid')} AS columns,
      substring(pg_get_indexdef(i.indexrelid) FROM ' USING (.*)$') AS definition
    FROM pg_index i JOIN ${from} ON c.oid = i.indrelid
    WHERE ${inOwnSchema} AND ${isOwnTable} AND i.indisunique`);
  for (const { relation, definition, columns } of rows)
    relations.get(relation)?.uniques.set(definition, { columns });
}
