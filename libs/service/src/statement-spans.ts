import { currentCall, toErrorType, type Spans, type SpanStart } from '@jogakbo/messaging';

/** The first table of a statement. */
const tableForm = /\b(?:from|into|update|join|table)\s+(?:only\s+)?"?([a-z_][\w$]*)"?/i;
/** Literals, which may be data. Parameters are never recorded. */
const literals = /'(?:[^']|'')*'/g;
/** Statements differ in the lengths of their lists. */
const maxKnown = 500;

function withoutParentheses(text: string): string {
  const shorter = text.replace(/\([^()]*\)/g, ' ');
  return shorter === text ? text : withoutParentheses(shorter);
}

/** Records a span for every statement that a message or an HTTP request causes. */
export class StatementSpans {
  readonly #known = new Map<string, SpanStart>();

  constructor(private readonly spans: Spans) {}

  /**
   * @param statement its text, or pg's object with it
   * @param run sends it @returns what `run` returns; a span ends with its promise
   */
  record(statement: unknown, run: () => unknown): unknown {
    const call = currentCall();
    const text =
      typeof statement === 'string' ? statement : (statement as { text?: unknown } | undefined)?.text;
    if (!call || typeof text !== 'string') return run();
    const span = this.spans.start(this.#describe(text), call);
    let result: unknown;
    try {
      result = run();
    } catch (error) {
      span.end(toErrorType(error));
      throw error;
    }
    if (!(result instanceof Promise)) return result;
    result.then(
      () => span.end(),
      (error: unknown) => span.end(toErrorType(error)),
    );
    return result;
  }

  #describe(text: string): SpanStart {
    const known = this.#known.get(text);
    if (known) return known;
    const operation = /^\s*(\w+)/.exec(text)?.[1]?.toUpperCase() ?? 'statement';
    // Those of the statement itself, and not of an expression in parentheses.
    const table = tableForm.exec(operation === 'WITH' ? text : withoutParentheses(text))?.[1];
    const described: SpanStart = {
      name: table ? `${operation} ${table}` : operation,
      kind: 'client',
      attributes: {
        'db.system.name': 'postgresql',
        'db.operation.name': operation,
        'db.collection.name': table,
        'db.query.text': text.replace(literals, '?').replace(/\s+/g, ' ').trim(),
      },
    };
    if (this.#known.size < maxKnown) this.#known.set(text, described);
    return described;
  }
}
