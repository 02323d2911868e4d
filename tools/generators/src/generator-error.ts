/** Bad input or a workspace that cannot be changed. Nothing is written. `nx g` prints the message. */
export class GeneratorError extends Error {
  override readonly name = 'GeneratorError';
  /** Without a stack, Nx does not suggest --verbose for an error of the user. */
  override readonly stack = undefined;

  /** @param remedy what to do, as one sentence */
  constructor(problem: string, remedy?: string) {
    super(remedy ? `${problem}\n${remedy}` : problem);
  }
}
