import { RoleName } from '@jogakbo/contract';
import { json } from '@jogakbo/service';
import { z } from 'zod';
import { findUnknownRole } from './roles.ts';
import { findWeakness } from './weak-passwords.ts';

const StaffAccount = z
  .strictObject({
    email: z.email().max(254).toLowerCase(),
    name: z.string().trim().min(1).max(100),
    password: z.string().min(8).max(200),
    roles: z.array(RoleName).min(1),
  })
  .superRefine(({ email, password }, { addIssue }) => {
    const message = findWeakness(password, email);
    if (message) addIssue({ code: 'custom', path: ['password'], message });
  });
export type StaffAccount = z.output<typeof StaffAccount>;

export const Staff = json(
  z
    .array(StaffAccount)
    .refine((all) => new Set(all.map(({ email }) => email)).size === all.length, 'contains an address twice'),
);

/** A problem of the setting `staff`: a role that does not exist. Does not quote the setting, which is secret. */
export function findStaffProblem(
  staff: readonly StaffAccount[],
  roles: readonly string[],
): string | undefined {
  for (const [at, account] of staff.entries()) {
    const unknown = findUnknownRole(account.roles, roles);
    if (unknown) return `${at}.roles.${unknown.index}: ${unknown.message}`;
  }
  return undefined;
}
