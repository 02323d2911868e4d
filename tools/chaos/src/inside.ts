// Loaded into every service of a chaos store before its program (`node --import`). The services are unchanged.
// Connects the service through the links of chaos, and injects crashes and clock offsets from the control file.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { type ControlState } from './control-channel.ts';

type Patched = Record<string, (...args: never[]) => unknown>;
type ConfirmCallback = (error: Error | null, ok: unknown) => void;

const service = /\bapps\/([a-z-]+)\/dist\/main\.js$/.exec(process.argv[1] ?? '')?.[1];
const { CHAOS_FOLDER: folder, CHAOS_PORTS: ports } = process.env;

function connectThrough(links: Record<string, Record<string, number>>): void {
  for (const [name, port] of Object.entries(links[service!] ?? {})) {
    const url = process.env[name];
    if (url) process.env[name] = Object.assign(new URL(url), { port: String(port) }).href;
  }
}

/** Ends this process at the crash points that are armed for this service. */
class CrashPoints {
  readonly #folder: string;
  readonly #counts = new Map<string, number>();
  crashes: ControlState['crashes'] = [];

  constructor(folder: string) {
    this.#folder = folder;
  }

  reach(point: string): void {
    for (const { id, nth } of this.crashes.filter((crash) => crash.point === point)) {
      this.#counts.set(id, (this.#counts.get(id) ?? 0) + 1);
      if (this.#counts.get(id)! < nth) continue;
      writeFileSync(join(this.#folder, id), '');
      process.kill(process.pid, 'SIGKILL');
    }
  }

  /** Delayed by 1 ms, so that the written bytes have left this process. */
  reachSoon(point: string): void {
    if (this.crashes.some((crash) => crash.point === point)) setTimeout(() => this.reach(point), 1);
  }
}

function applyControlState(folder: string): void {
  const points = new CrashPoints(folder);
  const read = () => {
    const state = JSON.parse(readFileSync(join(folder, 'control.json'), 'utf8')) as ControlState;
    points.crashes = state.crashes.filter(
      (one) => one.service === service && !existsSync(join(folder, one.id)),
    );
    // libfaketime reads this variable at every call.
    if (process.env.FAKETIME) process.env.FAKETIME = state.clocks[service!] ?? '+0';
  };
  read();
  setInterval(read, 100).unref();
  wrapDatabase(points);
  wrapBroker(points);
}

/** Loads a package as the program does: an artefact has packages of its own. */
const requireOfProgram = createRequire(process.argv[1] ?? import.meta.url);

function wrapDatabase(points: CrashPoints): void {
  if (!process.env.DATABASE_URL) return;
  // Loaded here, so that other processes with this environment, such as the command line, do not load it.
  const pg = requireOfProgram('pg') as { Client: { prototype: object } };
  wrapMethod(pg.Client.prototype, 'query', (query, args) => {
    const [statement] = args as [string | { text?: string } | undefined];
    const text = typeof statement === 'string' ? statement : statement?.text;
    // The UPDATE runs outside of a transaction, so it commits itself.
    if (!/^(COMMIT$|UPDATE outbox SET published_at = \$2)/.test(text ?? '')) return query();
    points.reach('before commit');
    const result = query();
    void Promise.resolve(result).then(
      () => points.reach('after commit'),
      () => undefined,
    );
    return result;
  });
}

function wrapBroker(points: CrashPoints): void {
  // The library does not export these classes.
  const { Channel, ConfirmChannel } = requireOfProgram(
    join(dirname(requireOfProgram.resolve('amqplib')), 'lib', 'channel_model.js'),
  ) as Record<'Channel' | 'ConfirmChannel', { prototype: object }>;
  wrapMethod(ConfirmChannel.prototype, 'publish', (publish, args) => {
    points.reach('before publish');
    const onConfirm = args[4] as ConfirmCallback;
    const result = publish(...args.slice(0, 4), ((error, ok) => {
      points.reach('before confirm');
      onConfirm(error, ok);
      points.reach('after confirm');
    }) satisfies ConfirmCallback);
    points.reachSoon('after publish');
    return result;
  });
  wrapMethod(Channel.prototype, 'ack', (ack) => {
    points.reach('before ack');
    ack();
    points.reachSoon('after ack');
  });
}

/** @param wrap gets the bound method and the arguments of the call; the method without arguments repeats that call */
function wrapMethod(
  prototype: object,
  name: string,
  wrap: (method: (...args: unknown[]) => unknown, args: unknown[]) => unknown,
): void {
  const methods = prototype as Patched;
  const method = methods[name] as (...args: unknown[]) => unknown;
  methods[name] = function (this: unknown, ...given: unknown[]) {
    return wrap((...args) => method.apply(this, args.length > 0 ? args : given), given);
  };
}

if (service && folder && ports) {
  connectThrough(JSON.parse(ports) as Record<string, Record<string, number>>);
  applyControlState(folder);
}
