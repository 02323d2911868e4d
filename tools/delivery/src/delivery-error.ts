/** An error that the user can fix: what happened and why, and what to do. The command line prints it without a stack. */
export class DeliveryError extends Error {
  readonly details: readonly string[];
  readonly remedies: readonly string[];

  constructor(
    title: string,
    { details = [], remedies = [] }: { details?: readonly string[]; remedies?: readonly string[] } = {},
  ) {
    super(title);
    this.name = 'DeliveryError';
    this.details = details;
    this.remedies = remedies;
  }
}
