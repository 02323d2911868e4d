import { appendFileSync, chmodSync } from 'node:fs';
import { join } from 'node:path';
import { userInfo } from 'node:os';
import { printable } from '../terminal/printable.ts';
import { type State } from '../supervisor/state.ts';

export interface AuditEntry {
  what: 'edit' | 'replay' | 'discard' | 'replay events' | 'rebuild';
  service: string;
  /** Of the messages; with events, of a time, there may be very many. */
  ids?: string[];
  [detail: string]: unknown;
}

/** Who sits at the keyboard, also behind sudo. */
export const operator = (): string => process.env.SUDO_USER ?? userInfo().username;

/** One line in audit.log of the state folder. Written before the deed: nothing happens that is not written down. */
export function audit(state: State, entry: AuditEntry): void {
  const path = join(state.folder, 'audit.log');
  const line = printable(JSON.stringify({ time: new Date().toISOString(), user: operator(), ...entry }));
  appendFileSync(path, `${line}\n`, { mode: 0o600, flush: true });
  chmodSync(path, 0o600);
}
