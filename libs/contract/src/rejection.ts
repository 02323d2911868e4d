/** An invalid field: `path` in dotted form (`lines.0.quantity`). */
export interface FieldError {
  path: string;
  message: string;
}

/**
 * An expected business error: an answer, not a fault. It has a stable code and is never retried. A waiting
 * caller receives it; without one the message is dead-lettered at once.
 * `status` is its HTTP status.
 */
export class Rejection extends Error {
  override readonly name = 'Rejection';
  readonly code: string;
  readonly status: number;
  readonly errors?: FieldError[];
  /** Seconds after which a retry may succeed. */
  retryAfter?: number;
  /** Data for the client, by name: extension members of the problem (RFC 9457, section 3.2). */
  extensions?: Readonly<Record<string, unknown>>;

  constructor(code: string, status: number, message?: string, errors?: FieldError[]) {
    super(message ?? code.replaceAll('-', ' '));
    this.code = code;
    this.status = status;
    if (errors) this.errors = errors;
  }

  /** The same rejection for a limited time. @param seconds after which a new request may succeed; sent as Retry-After */
  until(seconds: number): this {
    this.retryAfter = Math.max(1, Math.ceil(seconds));
    return this;
  }

  /**
   * The same rejection with data for the client.
   * @param extensions extension members of the problem; they cannot replace standard members
   */
  with(extensions: Readonly<Record<string, unknown>>): this {
    this.extensions = extensions;
    return this;
  }
}

/** Rejection codes that any request can return, even if its contract does not list them, with their HTTP statuses. */
export const platformRejections = {
  invalid: 400,
  'idempotency-key-missing': 400,
  unauthenticated: 401,
  'step-up-required': 401,
  forbidden: 403,
  'not-found': 404,
  'idempotency-key-in-flight': 409,
  'idempotency-key-reused': 422,
} as const;

/**
 * A rejection with one of the platform's own codes.
 * @param code one of `platformRejections`
 * @param message one sentence for the caller
 * @param errors the invalid fields, if any
 */
export function platformRejection(
  code: keyof typeof platformRejections,
  message?: string,
  errors?: FieldError[],
): Rejection {
  return new Rejection(code, platformRejections[code], message, errors);
}
