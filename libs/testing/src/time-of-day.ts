const RealDate = Date;

/**
 * Shifts the system time of this process; timers and all other clocks are not affected.
 * @param by milliseconds, negative for the past; 0 restores the real time
 */
export function shiftSystemTime(by: number): void {
  const now = () => RealDate.now() + by;
  globalThis.Date =
    by === 0
      ? RealDate
      : new Proxy(RealDate, {
          apply: () => new RealDate(now()).toString(),
          construct: (target, args, newTarget) =>
            Reflect.construct(target, args.length > 0 ? args : [now()], newTarget) as Date,
          get: (target, name) => (name === 'now' ? now : (Reflect.get(target, name) as unknown)),
        });
}
