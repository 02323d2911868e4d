const stopping = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
export type StopSignal = (typeof stopping)[number];

/** Calls back for every signal that asks us to stop, until released. */
export function onSignals(callback: (signal: StopSignal) => void): () => void {
  const handlers = stopping.map((signal) => [signal, () => callback(signal)] as const);
  for (const [signal, handler] of handlers) process.on(signal, handler);
  return () => {
    for (const [signal, handler] of handlers) process.off(signal, handler);
  };
}

/**
 * Tells a second wish to stop from echoes of the first: one Ctrl-C reaches us from the terminal,
 * from npm and from the bootstrap.
 */
export function firstAndSecond(first: () => void, second: () => void, echo = 1_000): () => void {
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
