import { within } from '@jogakbo/messaging';

/** One part of a running service, such as its connections or its HTTP server. */
export interface Part {
  open?(): unknown;
  /** Runs also if `open` failed, and, for parts that close together, if it never ran. */
  close?(): unknown;
}

/** Milliseconds until a failed start no longer waits for its parts to close. */
const failedCloseTimeoutMs = 5_000;

/**
 * Opens parts in their order.
 * @returns closes all parts in reverse order. A part that fails does not keep the others open: the first error is thrown
 *   at the end
 * @throws the error of the first part that does not open, after closing it and all parts before it
 */
export async function openParts(parts: readonly Part[]): Promise<() => Promise<void>> {
  for (const [index, part] of parts.entries()) {
    try {
      await part.open?.();
    } catch (error) {
      await closeInTime(parts.slice(0, index + 1));
      throw error;
    }
  }
  let closing: Promise<void> | undefined;
  return () => (closing ??= closeParts(parts));
}

async function closeParts(parts: readonly Part[]): Promise<void> {
  const errors: unknown[] = [];
  for (const part of [...parts].reverse()) {
    try {
      await part.close?.();
    } catch (error) {
      errors.push(error);
    }
  }
  if (errors.length > 0) throw errors[0];
}

/** Never throws: the error of the start is the one to report. */
async function closeInTime(parts: readonly Part[]): Promise<void> {
  await within(failedCloseTimeoutMs, closeParts(parts)).catch(() => {});
}

/** Combines parts that open one after the other and close at the same time. */
export const closeTogether = (...parts: readonly Part[]): Part => ({
  async open() {
    for (const part of parts) await part.open?.();
  },
  async close() {
    const results = await Promise.allSettled(parts.map(async (part) => part.close?.()));
    for (const result of results) if (result.status === 'rejected') throw result.reason;
  },
});
