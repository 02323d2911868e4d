// Asks the gateway, with a trivial service behind it on the bus, and Fastify that answers by itself, in turns:
// npm run bench:gateway -- [--seconds 5] [--turns 5] [--connections 64]
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import autocannon from 'autocannon';

const usage = 'npm run bench:gateway -- [--seconds 5] [--turns 5] [--connections 64]';
const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '5' },
    turns: { type: 'string', default: '5' },
    connections: { type: 'string', default: '64' },
    help: { type: 'boolean', short: 'h' },
  },
});
if (values.help) {
  console.log(usage);
  process.exit(0);
}
const seconds = Number(values.seconds);
const { TEST_RABBITMQ_URL } = process.env;
if (!TEST_RABBITMQ_URL) throw new Error(`start it with ${usage}`);

const [gatewayPort, fastifyPort] = [await freePort(), await freePort()];
const typescript = ['--experimental-transform-types', '--disable-warning=ExperimentalWarning'];
const settings = {
  ...{ RABBITMQ_URL: TEST_RABBITMQ_URL, PORT: String(gatewayPort), LOG_LEVEL: 'warn' },
  ...{ RATE_LIMIT_ADDRESS: '1000000000/minute', MAX_LOOP_DELAY: '10000' },
};
const children = [
  run([...typescript, join(import.meta.dirname, 'trivial-service.ts')], settings),
  run([...typescript, join(import.meta.dirname, 'trivial-server.ts')], { PORT: String(fastifyPort) }),
  // As `npm start` runs it.
  run(
    [
      '--max-semi-space-size=16',
      '--max-old-space-size=256',
      '--enable-source-maps',
      'apps/gateway/dist/main.js',
    ],
    settings,
  ),
];
// However this ends, they end with it.
process.on('exit', () => children.forEach((child) => child.kill('SIGTERM')));
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(1));

const id = '0190a5a0-0000-7000-8000-000000000001';
const urls = {
  gateway: `http://127.0.0.1:${gatewayPort}/v1/trifles/${id}`,
  // May be a second old, so that those who ask at the same time are given the same answer.
  shared: `http://127.0.0.1:${gatewayPort}/v1/shared-trifles/${id}`,
  fastify: `http://127.0.0.1:${fastifyPort}/v1/trifles/${id}`,
};
for (const url of Object.values(urls)) await untilItAnswers(url);

for (const connections of [1, Number(values.connections)]) {
  const rates: number[] = [];
  const sharedRates: number[] = [];
  const added: number[] = [];
  console.log(`\n${connections} at a time`);
  // The first turn compiles.
  for (let turn = 0; turn <= Number(values.turns); turn++) {
    const gateway = await load(urls.gateway, connections);
    const shared = await load(urls.shared, connections);
    const fastify = await load(urls.fastify, connections);
    if (turn === 0) continue;
    rates.push(gateway.rate / fastify.rate);
    sharedRates.push(shared.rate / fastify.rate);
    added.push(gateway.p50 - fastify.p50);
    const [service, , own] = gateway.cpu;
    console.log(
      `  gateway ${shown(gateway)}, processor ${own!.toFixed(0)} + service ${service!.toFixed(0)} µs` +
        `  |  a shared read ${shown(shared)}, processor ${shared.cpu[2]!.toFixed(0)} µs` +
        `  |  fastify ${shown(fastify)}, processor ${fastify.cpu[1]!.toFixed(0)} µs  |  ratio ${rates.at(-1)!.toFixed(2)}`,
    );
  }
  console.log(
    `median: ${median(rates).toFixed(2)} of Fastify's throughput (a shared read ${median(sharedRates).toFixed(2)}), ` +
      `${median(added).toFixed(2)} ms added at p50`,
  );
}
process.exit(0);

interface Figures {
  rate: number;
  p50: number;
  p99: number;
  /** Microseconds of processor time for a request, in each of the processes. */
  cpu: number[];
}

/** Keeps so many requests under way, and times each of them: autocannon tells no less than whole milliseconds. */
async function load(url: string, connections: number): Promise<Figures> {
  const times: number[] = [];
  const before = cpuOf(children);
  await new Promise<void>((resolve, reject) => {
    autocannon({ url, connections, duration: seconds }, (error) =>
      error ? reject(error as Error) : resolve(),
    ).on('response', (_client, status, _bytes, milliseconds) => {
      if (status !== 200) throw new Error(`${url} answered ${status}`);
      times.push(milliseconds);
    });
  });
  const after = cpuOf(children);
  const cpu = after.map((spent, at) => ((spent - before[at]!) * 1e6) / times.length);
  times.sort((a, b) => a - b);
  const at = (share: number) => times[Math.floor(times.length * share)]!;
  return { rate: times.length / seconds, p50: at(0.5), p99: at(0.99), cpu };
}

function shown({ rate, p50, p99 }: Figures): string {
  return `${rate.toFixed(0).padStart(5)}/s, p50 ${p50.toFixed(2)} ms, p99 ${p99.toFixed(2)} ms`;
}

/** Seconds of processor time that each process has taken so far; zeros where the system does not tell. */
function cpuOf(processes: { pid?: number | undefined }[]): number[] {
  return processes.map(({ pid }) => {
    try {
      const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]!.split(' ');
      return (Number(fields[11]) + Number(fields[12])) / 100;
    } catch {
      return 0;
    }
  });
}

function median(figures: number[]): number {
  return figures.toSorted((a, b) => a - b)[Math.floor(figures.length / 2)]!;
}

function run(args: string[], environment: NodeJS.ProcessEnv) {
  return spawn(process.execPath, args, { env: { ...process.env, ...environment }, stdio: 'inherit' });
}

async function untilItAnswers(url: string): Promise<void> {
  for (const end = Date.now() + 20_000; Date.now() < end; await new Promise((go) => setTimeout(go, 100))) {
    const answer = await fetch(url).catch(() => undefined);
    if (answer?.ok) return;
  }
  throw new Error(`${url} does not answer`);
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  return port;
}
