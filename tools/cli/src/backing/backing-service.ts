import { type ProcessMark } from '../supervisor/processes.ts';

/** A broker or a database that the services lean on, wherever it comes from. */
export interface BackingService {
  /** `given` is somebody else's: it is attached to and its lifetime never touched. */
  kind: 'given' | 'docker' | 'private';
  title: string;
  url: string;
  managementUrl?: string;
  /** Where it knows its clients by certificates of the store: their folder. */
  tls?: string;
  /** The processes it consists of; each stands for all those below it. */
  roots(): ProcessMark[];
  isAlive(): boolean | Promise<boolean>;
  restart(): Promise<void>;
  /** `force` when the user has lost patience. */
  stop(force?: boolean): Promise<void>;
}

export function given(title: string, url: string): BackingService {
  return {
    kind: 'given',
    title,
    url,
    roots: () => [],
    isAlive: () => true,
    restart: async () => undefined,
    stop: async () => undefined,
  };
}

/** The address without its password, fit for a screen or a log. */
export function withoutPassword(address: string): string {
  try {
    const url = new URL(address);
    if (url.password) url.password = '***';
    return url.href.replace(/\/$/, '');
  } catch {
    return '(not a URL)';
  }
}
