import { Role } from '@jogakbo/contracts-identity';
import { z } from 'zod';

const StaffAccount = z.strictObject({
  email: z.email().max(254).toLowerCase(),
  name: z.string().trim().min(1).max(100),
  password: z.string().min(8).max(200),
  roles: z.array(Role).min(1),
});
export type StaffAccount = z.output<typeof StaffAccount>;

/** Reads the list of staff. What is wrong is told by place and never by content: the text holds passwords. */
export function staffFromText(text: string, context: z.RefinementCtx): StaffAccount[] {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    context.addIssue('is not JSON');
    return z.NEVER;
  }
  const staff = z.array(StaffAccount).safeParse(json);
  if (!staff.success) {
    for (const { path, message } of staff.error.issues)
      context.addIssue([...path, ''].join('.').replace(/\.$/, ': ') + message);
    return z.NEVER;
  }
  if (new Set(staff.data.map(({ email }) => email)).size < staff.data.length)
    context.addIssue('names an address twice');
  return staff.data;
}
