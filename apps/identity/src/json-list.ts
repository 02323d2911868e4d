import { z } from 'zod';

/**
 * Reads a setting that is a list in JSON. What is wrong is told by place and never by content: such texts hold secrets.
 * @param unique the field of which no two entries may have the same value
 */
export function jsonList<T extends z.ZodObject>(entry: T, unique: keyof z.output<T> & string, name: string) {
  return (text: string, context: z.RefinementCtx): z.output<T>[] => {
    let json: unknown;
    try {
      json = JSON.parse(text);
    } catch {
      context.addIssue('is not JSON');
      return z.NEVER;
    }
    const list = z.array(entry).safeParse(json);
    if (!list.success) {
      for (const { path, message } of list.error.issues)
        context.addIssue([...path, ''].join('.').replace(/\.$/, ': ') + message);
      return z.NEVER;
    }
    const values = list.data.map((one) => one[unique]);
    if (new Set(values).size < values.length) context.addIssue(`names ${name} twice`);
    return list.data;
  };
}
