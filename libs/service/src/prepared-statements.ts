import pg from 'pg';

/** Limit for one pool: varying statements, such as lists of different lengths, must not fill the memory of the database. */
const maxStatements = 300;

/**
 * Creates the class of connections for a `pg.Pool` with `pipeline: true`: PostgreSQL parses each statement once, and all
 * queries of one tick are sent in one packet.
 */
export function createPreparingClient(): typeof pg.Client {
  const names = new Map<string, string>();
  const getStatementName = (text: string): string | undefined => {
    const known = names.get(text);
    if (known || names.size >= maxStatements) return known;
    const name = `s${names.size}`;
    names.set(text, name);
    return name;
  };
  return class PreparingClient extends pg.Client {
    override query(...args: unknown[]): never {
      const { stream } = (this as unknown as { connection: { stream: NodeJS.WritableStream & Corked } })
        .connection;
      if (!stream.writableCorked) {
        stream.cork();
        process.nextTick(() => stream.uncork());
      }
      const [text, values, callback] = args;
      if (typeof text !== 'string' || !Array.isArray(values) || values.length === 0 || callback) {
        return (super.query as (...args: unknown[]) => never)(...args);
      }
      // Created here, because pg otherwise takes a name only in a config object, which it copies slowly.
      const query = new pg.Query(text, values) as pg.Query & Prepared;
      query.name = getStatementName(text);
      return new Promise((resolve, reject) => {
        query.callback = (error, result) => (error ? reject(error) : resolve(result));
        super.query(query);
      }).catch((error: Error) => {
        // Makes the stack show the caller, and not the read from the socket.
        Error.captureStackTrace(error);
        throw error;
      }) as never;
    }
  };
}

interface Prepared {
  name: string | undefined;
  callback: (error: Error | null, result: unknown) => void;
}

interface Corked {
  writableCorked: number;
  cork(): void;
  uncork(): void;
}
