import pg from 'pg';
import type { StatementSpans } from './statement-spans.ts';

/** Limit for one pool: varying statements, such as lists of different lengths, must not fill the memory of the database. */
const maxStatements = 300;

/** The names of prepared statements, the same in all connections of a pool. */
class StatementNames {
  readonly #names = new Map<string, string>();
  #last = 0;

  /** Returns undefined for a statement that is not to be prepared. */
  get(text: string): string | undefined {
    const known = this.#names.get(text);
    if (known || this.#names.size >= maxStatements) return known;
    const name = `s${++this.#last}`;
    this.#names.set(text, name);
    return name;
  }

  /** Gives the statement another name, unless it has got one since. */
  replace(text: string, name: string): void {
    if (this.#names.get(text) === name) this.#names.delete(text);
  }
}

/**
 * Creates the class of connections for a `pg.Pool` with `pipeline: true`: PostgreSQL parses each statement once, and all
 * queries of one tick are sent in one packet.
 *
 * PostgreSQL rejects a prepared statement after the type of one of its columns has changed, as long as the connection
 * lives: by a migration, or by a projection that switches to another shape. The statement is then prepared anew. Outside of
 * a transaction it is repeated at once; a transaction fails once, and its repetition succeeds.
 */
export function createPreparingClient(spans?: StatementSpans): typeof pg.Client {
  const names = new StatementNames();
  return class PreparingClient extends pg.Client {
    override query(...args: unknown[]): never {
      return (spans ? spans.record(args[0], () => this.#query(args)) : this.#query(args)) as never;
    }

    #query(args: unknown[]): unknown {
      const { stream } = (this as unknown as { connection: { stream: NodeJS.WritableStream & Corked } })
        .connection;
      if (!stream.writableCorked) {
        stream.cork();
        process.nextTick(() => stream.uncork());
      }
      const [text, values, callback] = args;
      if (typeof text !== 'string' || !Array.isArray(values) || values.length === 0 || callback) {
        return (super.query as (...args: unknown[]) => unknown)(...args);
      }
      return this.#queryPrepared(text, values).catch((error: Error) => {
        // Makes the stack show the caller, and not the read from the socket.
        Error.captureStackTrace(error);
        throw error;
      });
    }

    #queryPrepared(text: string, values: unknown[]): Promise<unknown> {
      // Created here, because pg otherwise takes a name only in a config object, which it copies slowly.
      const query = new pg.Query(text, values) as pg.Query & Prepared;
      const name = names.get(text);
      query.name = name;
      return new Promise((resolve, reject) => {
        query.callback = (error, result) => {
          if (!error) return resolve(result);
          if (!name || !isOutdatedPlan(error)) return reject(error);
          names.replace(text, name);
          if (this.getTransactionStatus() === 'I') resolve(this.#queryPrepared(text, values));
          else reject(error);
        };
        super.query(query);
      });
    }
  };
}

/** PostgreSQL has no error code of its own for this case: 0A000 is "feature not supported". */
const isOutdatedPlan = (error: Error & { code?: string; routine?: string }): boolean =>
  error.code === '0A000' && error.routine === 'RevalidateCachedQuery';

interface Prepared {
  name: string | undefined;
  callback: (error: Error | null, result: unknown) => void;
}

interface Corked {
  writableCorked: number;
  cork(): void;
  uncork(): void;
}
