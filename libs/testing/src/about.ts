/**
 * Filters messages by the value of one field: `getPublishedEvents(NoteWritten).filter(isAbout('noteId', noteId))`.
 * @param field the field of the contract's body that names the subject
 */
export const isAbout =
  <Field extends string>(field: Field, id: string) =>
  (message: Record<Field, string>): boolean =>
    message[field] === id;
