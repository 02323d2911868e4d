import { type ProcessIdentity } from '../supervisor/processes.ts';

/** The administrator login of every broker and database that the CLI runs. On the broker, it is the broker operator. */
export const administratorLogin = 'jogakbo';

/** A broker or database that the services depend on. */
export interface BackingService {
  /**
   * `external`: the CLI connects to it, but never starts or stops it. The other two are private: the CLI runs them, in a
   * Docker container or as a process.
   */
  kind: 'external' | 'container' | 'process';
  title: string;
  /** The name of its Docker container. */
  container?: string;
  url: string;
  managementUrl?: string;
  /** The folder of the store's certificates, if the server authenticates clients by certificate. */
  tls?: string;
  /**
   * The server's own process first, even if it has ended; then other processes outside of its process tree. Empty for an
   * external server and for a container.
   */
  roots(): ProcessIdentity[];
  isAlive(): boolean | Promise<boolean>;
  /** Starts it, also again after it has ended. @throws CliError if it does not start */
  start(): Promise<void>;
  /** @param force stops faster, after a second stop signal of the user */
  stop(force?: boolean): Promise<void>;
}

export function createExternalService(title: string, url: string): BackingService {
  return {
    kind: 'external',
    title,
    url,
    roots: () => [],
    isAlive: () => true,
    start: async () => undefined,
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
