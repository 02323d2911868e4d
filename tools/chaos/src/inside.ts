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
if (service && folder && ports) {
  connectThrough(JSON.parse(ports) as Record<string, Record<string, number>>);
  await applyControlState(folder);
}

function connectThrough(links: Record<string, Record<string, number>>): void {
  for (const [name, port] of Object.entries(links[service!] ?? {})) {
    const url = process.env[name];
    if (url) process.env[name] = Object.assign(new URL(url), { port: String(port) }).href;
  }
}

async function applyControlState(folder: string): Promise<void> {
  // Imported here, so that other processes with this environment, such as the command line, do not load it.
  const { default: pg } = await import('pg');
  let { crashes }: ControlState = { crashes: [], clocks: {} };
  const counts = new Map<string, number>();
  const read = () => {
    const state = JSON.parse(readFileSync(join(folder, 'control.json'), 'utf8')) as ControlState;
    crashes = state.crashes.filter((one) => one.service === service && !existsSync(join(folder, one.id)));
    // libfaketime reads this variable at every call.
    if (process.env.FAKETIME) process.env.FAKETIME = state.clocks[service!] ?? '+0';
  };
  read();
  setInterval(read, 100).unref();

  const isArmed = (point: string) => crashes.some((crash) => crash.point === point);
  const reach = (point: string) => {
    for (const { id, nth } of crashes.filter((crash) => crash.point === point)) {
      counts.set(id, (counts.get(id) ?? 0) + 1);
      if (counts.get(id)! < nth) continue;
      writeFileSync(join(folder, id), '');
      process.kill(process.pid, 'SIGKILL');
    }
  };
  /** Delayed by 1 ms, so that the written bytes have left this process. */
  const reachSoon = (point: string) => {
    if (isArmed(point)) setTimeout(reach, 1, point);
  };

  wrapMethod(pg.Client.prototype, 'query', (query, args) => {
    const [statement] = args as [string | { text?: string } | undefined];
    const text = typeof statement === 'string' ? statement : statement?.text;
    // The UPDATE runs outside of a transaction, so it commits itself.
    if (!/^(COMMIT$|UPDATE outbox SET published_at = \$2)/.test(text ?? '')) return query();
    reach('before commit');
    const result = query();
    void Promise.resolve(result).then(
      () => reach('after commit'),
      () => undefined,
    );
    return result;
  });

  const require = createRequire(import.meta.url);
  // The library does not export these classes.
  const { Channel, ConfirmChannel } = require(
    join(dirname(require.resolve('amqplib')), 'lib', 'channel_model.js'),
  ) as Record<'Channel' | 'ConfirmChannel', { prototype: object }>;
  wrapMethod(ConfirmChannel.prototype, 'publish', (publish, args) => {
    reach('before publish');
    const onConfirm = args[4] as ConfirmCallback;
    const result = publish(...args.slice(0, 4), ((error, ok) => {
      reach('before confirm');
      onConfirm(error, ok);
      reach('after confirm');
    }) satisfies ConfirmCallback);
    reachSoon('after publish');
    return result;
  });
  wrapMethod(Channel.prototype, 'ack', (ack) => {
    reach('before ack');
    ack();
    reachSoon('after ack');
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
