/** The message arrived before its cause, or before an earlier step has ended. A later attempt can succeed. */
export class OutOfOrder extends Error {
  override readonly name = 'OutOfOrder';
}
