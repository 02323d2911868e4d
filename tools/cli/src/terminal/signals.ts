const stopping = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
export type StopSignal = (typeof stopping)[number];

/** Calls back for every stop signal. @returns removes the handlers */
export function onSignals(callback: (signal: StopSignal) => void): () => void {
  const handlers = stopping.map((signal) => [signal, () => callback(signal)] as const);
  for (const [signal, handler] of handlers) process.on(signal, handler);
  return () => {
    for (const [signal, handler] of handlers) process.off(signal, handler);
  };
}

/**
 * Distinguishes a second Ctrl-C from duplicates of the first: the terminal, npm and the bootstrap each forward the signal.
 * @param echo milliseconds in which signals count as duplicates
 */
export function createStopHandler(first: () => void, second: () => void, echo = 1_000): () => void {
  let began: number | undefined;
  return () => {
    if (began === undefined) {
      began = Date.now();
      first();
    } else if (Date.now() - began > echo) {
      second();
    }
  };
}
