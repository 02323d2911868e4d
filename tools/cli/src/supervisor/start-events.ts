export const stages = ['broker', 'database-server', 'build', 'migrations', 'services', 'seed'] as const;
export type Stage = (typeof stages)[number];

/** Events of a start: delivered in the same process, or over IPC when the store runs detached. */
export type StartEvent =
  | { kind: 'stage'; stage: Stage; progress: 'began' | 'note' | 'done' | 'skipped' | 'failed'; text: string }
  | { kind: 'line'; text: string }
  | { kind: 'ready'; lines: string[] }
  | { kind: 'error'; title: string; details: string[]; remedies: string[] }
  /** The start failed or was interrupted; the running processes are being stopped. */
  | { kind: 'given-up' };

export type Report = (event: StartEvent) => void;
