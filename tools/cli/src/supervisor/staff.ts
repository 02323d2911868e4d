import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { generatePassword, readKept, type StateFolder, writeJson } from './state.ts';

export interface Staff {
  email: string;
  name: string;
  password: string;
  roles: string[];
}

export const getStaffFile = (state: StateFolder): string => join(state.folder, 'staff.json');

export const readStaff = (state: StateFolder): Staff[] => readKept<Staff[]>(getStaffFile(state)) ?? [];

const getShownFile = (state: StateFolder): string => join(state.folder, 'staff.shown');

/** Records that a start has printed the initial passwords. Later starts do not print them. */
export const markStaffShown = (state: StateFolder): void =>
  writeFileSync(getShownFile(state), '', { mode: 0o600 });

/**
 * Writes the file of the initial accounts, one for each role. It contains only these; existing passwords are kept.
 * @param chosen one password for all of them
 * @returns `isShown`: a start has printed their passwords
 */
export function ensureStaff(
  state: StateFolder,
  wanted: readonly string[],
  chosen = process.env.JOGAKBO_SEED_PASSWORD,
): { staff: Staff[]; isShown: boolean } {
  const kept = readStaff(state);
  const getPassword = (email: string) =>
    chosen || kept.find((member) => member.email === email)?.password || generatePassword().slice(0, 16);
  const staff = wanted.map((role) => {
    const email = `${role}@jogakbo.example`;
    const name = role[0]!.toUpperCase() + role.slice(1);
    return { email, name, password: getPassword(email), roles: ['member', role] };
  });
  writeJson(getStaffFile(state), staff);
  return { staff, isShown: existsSync(getShownFile(state)) };
}
