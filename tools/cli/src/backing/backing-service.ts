import { type ProcessMark } from '../supervisor/processes.ts';

/** A broker or database that the services depend on. */
export interface BackingService {
  /** `given` is an external server: the CLI connects to it but never starts or stops it. */
  kind: 'given' | 'docker' | 'private';
  title: string;
  url: string;
  managementUrl?: string;
  /** The folder of the store's certificates, if the server authenticates clients by certificate. */
  tls?: string;
  /** The server's own process first, even if it has ended; then other processes outside of its process tree. */
  roots(): ProcessMark[];
  isAlive(): boolean | Promise<boolean>;
  restart(): Promise<void>;
  /** @param force stops faster, after a second stop signal of the user */
  stop(force?: boolean): Promise<void>;
}

export function createExternalService(title: string, url: string): BackingService {
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

/** The URL with its password masked, for screens and logs. */
export function maskPassword(address: string): string {
  try {
    const url = new URL(address);
    if (url.password) url.password = '***';
    return url.href.replace(/\/$/, '');
  } catch {
    return '(not a URL)';
  }
}
