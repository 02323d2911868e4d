import { Role } from '@jogakbo/contracts-identity';
import { z } from 'zod';
import { jsonList } from './json-list.ts';

const StaffAccount = z.strictObject({
  email: z.email().max(254).toLowerCase(),
  name: z.string().trim().min(1).max(100),
  password: z.string().min(8).max(200),
  roles: z.array(Role).min(1),
});
export type StaffAccount = z.output<typeof StaffAccount>;

export const staffFromText = jsonList(StaffAccount, 'email', 'an address');
