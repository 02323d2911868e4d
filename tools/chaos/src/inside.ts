// Runs within every service of a store under chaos, before its program (`node --import`); the services themselves are
// built as ever. It connects them through the links of chaos, and ends or confuses them where chaos says so.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { type Orders } from './control-channel.ts';

type Patched = Record<string, (...args: never[]) => unknown>;
type Confirmed = (error: Error | null, ok: unknown) => void;

const service = /\bapps\/([a-z-]+)\/dist\/main\.js$/.exec(process.argv[1] ?? '')?.[1];
const { CHAOS_FOLDER: folder, CHAOS_PORTS: ports } = process.env;
if (service && folder && ports) {
  connectThrough(JSON.parse(ports) as Record<string, Record<string, number>>);
  await obey(folder);
}

function connectThrough(links: Record<string, Record<string, number>>): void {
  for (const [name, port] of Object.entries(links[service!] ?? {})) {
    const url = process.env[name];
    if (url) process.env[name] = Object.assign(new URL(url), { port: String(port) }).href;
  }
}

async function obey(folder: string): Promise<void> {
  // Whatever else runs with this environment, such as the command line, is spared it.
  const { default: pg } = await import('pg');
  let { crashes }: Orders = { crashes: [], clocks: {} };
  const passed = new Map<string, number>();
  const read = () => {
    const orders = JSON.parse(readFileSync(join(folder, 'orders.json'), 'utf8')) as Orders;
    crashes = orders.crashes.filter((one) => one.service === service && !existsSync(join(folder, one.id)));
    // libfaketime looks here whenever somebody asks for the time.
    if (process.env.FAKETIME) process.env.FAKETIME = orders.clocks[service!] ?? '+0';
  };
  read();
  setInterval(read, 100).unref();

  const isAwaited = (point: string) => crashes.some((crash) => crash.point === point);
  const pass = (point: string) => {
    for (const { id, nth } of crashes.filter((crash) => crash.point === point)) {
      passed.set(id, (passed.get(id) ?? 0) + 1);
      if (passed.get(id)! < nth) continue;
      writeFileSync(join(folder, id), '');
      process.kill(process.pid, 'SIGKILL');
    }
  };
  /** When what was written is with the system and not only with us. */
  const passSoon = (point: string) => {
    if (isAwaited(point)) setTimeout(pass, 1, point);
  };

  instead(pg.Client.prototype, 'query', (query, args) => {
    const [asked] = args as [string | { text?: string } | undefined];
    const text = typeof asked === 'string' ? asked : asked?.text;
    // What is marked as published is so when the statement is over: it has no transaction around it.
    if (!/^(COMMIT$|UPDATE outbox SET published_at = now)/.test(text ?? '')) return query();
    pass('before commit');
    const result = query();
    void Promise.resolve(result).then(
      () => pass('after commit'),
      () => undefined,
    );
    return result;
  });

  const require = createRequire(import.meta.url);
  // The library exports no classes, so they are fetched by their path.
  const { Channel, ConfirmChannel } = require(
    join(dirname(require.resolve('amqplib')), 'lib', 'channel_model.js'),
  ) as Record<'Channel' | 'ConfirmChannel', { prototype: object }>;
  instead(ConfirmChannel.prototype, 'publish', (publish, args) => {
    pass('before publish');
    const confirmed = args[4] as Confirmed;
    const result = publish(...args.slice(0, 4), ((error, ok) => {
      pass('before confirm');
      confirmed(error, ok);
      pass('after confirm');
    }) satisfies Confirmed);
    passSoon('after publish');
    return result;
  });
  instead(Channel.prototype, 'ack', (ack) => {
    pass('before ack');
    ack();
    passSoon('after ack');
  });
}

/** @param wrap is given the method, bound, and what it was called with; without arguments it takes the same again */
function instead(
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
