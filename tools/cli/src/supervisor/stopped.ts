/** Thrown by a start that was cancelled because the store is stopping. */
export class Stopped extends Error {}
