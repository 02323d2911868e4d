// Asks the gateway, with a trivial service behind it on the bus, and Fastify that answers by itself, in turns:
// npm run bench:gateway -- [--seconds 5] [--turns 5] [--connections 64]
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { Connection, buildTunnelRequest } from './connection.ts';

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
  ...{ LOCAL_MODE: 'true', TOKEN_ISSUER: 'http://localhost:3000' },
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
/** More than are ever asked at the same time. */
const others = Array.from({ length: 4_096 }, (_, n) => id.slice(0, 24) + n.toString(16).padStart(12, '0'));
const from = (port: number, path: string, ids = [id]): URL[] =>
  ids.map((id) => new URL(`http://127.0.0.1:${port}/v1/${path}/${id}`));
const asked = {
  same: from(gatewayPort, 'trifles'),
  another: from(gatewayPort, 'trifles', others),
  // May be a second old, so that all who ask within it are given the same answer.
  shared: from(gatewayPort, 'shared-trifles'),
  fastify: from(fastifyPort, 'trifles'),
};
for (const [url] of Object.values(asked)) await untilItAnswers(url!.href);

for (const connections of [1, Number(values.connections)]) {
  const turns: Record<keyof typeof asked, Figures>[] = [];
  console.log(`\n${connections} at a time`);
  // The first turn compiles.
  for (let turn = 0; turn <= Number(values.turns); turn++) {
    const figures = {
      same: await load(asked.same, connections),
      another: await load(asked.another, connections),
      shared: await load(asked.shared, connections),
      fastify: await load(asked.fastify, connections),
    };
    if (turn === 0) continue;
    turns.push(figures);
    const { same, another, shared, fastify } = figures;
    console.log(
      `  all ask the same ${shown(same, 2)}  |  each asks for another ${shown(another, 2)}` +
        `  |  may be a second old ${shown(shared, 2)}  |  fastify ${shown(fastify, 1)}`,
    );
  }
  const share = (of: keyof typeof asked) =>
    median(turns.map((turn) => turn[of].rate / turn.fastify.rate)).toFixed(2);
  const added = median(turns.map(({ same, fastify }) => same.p50 - fastify.p50)).toFixed(2);
  console.log(
    `median of Fastify's throughput: ${share('same')} where all ask the same, ${share('another')} where each asks for ` +
      `another, ${share('shared')} where it may be a second old; ${added} ms added at p50`,
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

/** Keeps so many requests under way, one to each of the URLs in turn. */
async function load(urls: URL[], connections: number): Promise<Figures> {
  const questions = urls.map((url) => buildTunnelRequest(url));
  const times: number[] = [];
  let asked = 0;
  const before = readCpu(children);
  const until = performance.now() + seconds * 1_000;
  const asks = (): Promise<void> =>
    new Promise((resolve, reject) => {
      const connection = new Connection(urls[0]!);
      const ask = () => {
        const askedAt = performance.now();
        if (askedAt > until) {
          connection.close();
          return resolve();
        }
        connection.ask(questions[asked++ % questions.length]!, (status) => {
          if (status !== 200) return reject(new Error(`${urls[0]!.href} answered ${status}`));
          times.push(performance.now() - askedAt);
          ask();
        });
      };
      ask();
    });
  await Promise.all(Array.from({ length: connections }, asks));
  const after = readCpu(children);
  const cpu = after.map((spent, at) => ((spent - before[at]!) * 1e6) / times.length);
  times.sort((a, b) => a - b);
  const at = (share: number) => times[Math.floor(times.length * share)]!;
  return { rate: times.length / seconds, p50: at(0.5), p99: at(0.99), cpu };
}

/** @param process which of them runs the gateway */
function shown({ rate, p50, p99, cpu }: Figures, process: number): string {
  return `${rate.toFixed(0).padStart(5)}/s (p50 ${p50.toFixed(2)} ms, p99 ${p99.toFixed(2)} ms, ${cpu[process]!.toFixed(0)} µs of a processor)`;
}

/** Seconds of processor time that each process has taken so far; zeros where the system does not tell. */
function readCpu(processes: { pid?: number | undefined }[]): number[] {
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
