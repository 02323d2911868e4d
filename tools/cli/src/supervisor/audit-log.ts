import { appendFileSync, chmodSync } from 'node:fs';
import { join } from 'node:path';
import { userInfo } from 'node:os';
import { toPrintable } from '../terminal/printable.ts';
import { type StateFolder } from './state.ts';

export interface AuditEntry {
  what: 'edit' | 'replay' | 'discard' | 'replay events' | 'rebuild' | 'emit';
  service: string;
  /** Message ids. Omitted for replays of events, which may be very many. */
  ids?: string[];
  [detail: string]: unknown;
}

/** The user name of the operator, also under sudo. */
export const getUserName = (): string => process.env.SUDO_USER ?? userInfo().username;

/** Appends a line to audit.log in the state folder. Call it before the action, so that every action is logged. */
export function audit(state: StateFolder, entry: AuditEntry): void {
  const path = join(state.folder, 'audit.log');
  const line = toPrintable(JSON.stringify({ time: new Date().toISOString(), user: getUserName(), ...entry }));
  appendFileSync(path, `${line}\n`, { mode: 0o600, flush: true });
  chmodSync(path, 0o600);
}
