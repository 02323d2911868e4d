// Compares the gateway, with a minimal service behind it on the bus, and Fastify alone, in alternating rounds:
// npm run bench:gateway -- [--seconds 5] [--turns 5] [--connections 64]
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { Connection, encodeRequest } from './connection.ts';

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
if (!TEST_RABBITMQ_URL) throw new Error(`TEST_RABBITMQ_URL is not set: start it with ${usage}`);

const [gatewayPort, fastifyPort] = [await findFreePort(), await findFreePort()];
const typescript = ['--experimental-transform-types', '--disable-warning=ExperimentalWarning'];
const settings = {
  RABBITMQ_URL: TEST_RABBITMQ_URL,
  PORT: String(gatewayPort),
  LOG_LEVEL: 'warn',
  LOCAL_MODE: 'true',
  TOKEN_ISSUER: 'http://localhost:3000',
  LANGUAGES: 'en',
  RATE_LIMIT_ADDRESS: '1000000000/minute',
  MAX_LOOP_DELAY: '10000',
};
const children = [
  run([...typescript, join(import.meta.dirname, 'ping-service.ts')], settings),
  run([...typescript, join(import.meta.dirname, 'ping-server.ts')], { PORT: String(fastifyPort) }),
  // With the options of `npm start`.
  run(
    [
      '--max-semi-space-size=16',
      '--max-old-space-size=256',
      '--import=./apps/gateway/dist/source-maps.js',
      'apps/gateway/dist/main.js',
    ],
    settings,
  ),
];
// They end with this process, for whatever reason it ends.
process.on('exit', () => children.forEach((child) => child.kill('SIGTERM')));
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(1));

const id = '0190a5a0-0000-7000-8000-000000000001';
/** More ids than concurrent requests. */
const others = Array.from({ length: 4_096 }, (_, n) => id.slice(0, 24) + n.toString(16).padStart(12, '0'));
const buildUrls = (port: number, path: string, ids = [id]): URL[] =>
  ids.map((id) => new URL(`http://127.0.0.1:${port}/v1/${path}/${id}`));
const targets = {
  same: buildUrls(gatewayPort, 'pings'),
  another: buildUrls(gatewayPort, 'pings', others),
  // Answers may be a second old, so requests within a second share one.
  shared: buildUrls(gatewayPort, 'shared-pings'),
  fastify: buildUrls(fastifyPort, 'pings'),
};
for (const [url] of Object.values(targets)) await waitForAnswer(url!.href);

for (const connections of [1, Number(values.connections)]) {
  const rounds: Record<keyof typeof targets, Figures>[] = [];
  console.log(`\n${connections} concurrent requests`);
  // The first round warms up the compiler.
  for (let round = 0; round <= Number(values.turns); round++) {
    const figures = {
      same: await load(targets.same, connections),
      another: await load(targets.another, connections),
      shared: await load(targets.shared, connections),
      fastify: await load(targets.fastify, connections),
    };
    if (round === 0) continue;
    rounds.push(figures);
    const { same, another, shared, fastify } = figures;
    console.log(
      `  same resource ${formatFigures(same, 2)}  |  different resources ${formatFigures(another, 2)}` +
        `  |  answers up to 1 s old ${formatFigures(shared, 2)}  |  fastify ${formatFigures(fastify, 1)}`,
    );
  }
  const getShare = (target: keyof typeof targets) =>
    median(rounds.map((round) => round[target].rate / round.fastify.rate)).toFixed(2);
  const added = median(rounds.map(({ same, fastify }) => same.p50 - fastify.p50)).toFixed(2);
  console.log(
    `median share of Fastify's throughput: ${getShare('same')} for the same resource, ${getShare('another')} for different ` +
      `resources, ${getShare('shared')} for answers up to 1 s old; ${added} ms added at p50`,
  );
}
process.exit(0);

interface Figures {
  rate: number;
  p50: number;
  p99: number;
  /** Microseconds of CPU time per request, for each process. */
  cpu: number[];
}

/** Keeps so many requests in progress, and cycles through the URLs. */
async function load(urls: URL[], connections: number): Promise<Figures> {
  const requests = urls.map((url) => encodeRequest(url));
  const times: number[] = [];
  let sent = 0;
  const before = readCpu(children);
  const until = performance.now() + seconds * 1_000;
  const useConnection = (): Promise<void> =>
    new Promise((resolve, reject) => {
      const connection = new Connection(urls[0]!);
      const ask = () => {
        const askedAt = performance.now();
        if (askedAt > until) {
          connection.close();
          return resolve();
        }
        connection.ask(requests[sent++ % requests.length]!, (status) => {
          if (status !== 200) return reject(new Error(`${urls[0]!.href} answered ${status}`));
          times.push(performance.now() - askedAt);
          ask();
        });
      };
      ask();
    });
  await Promise.all(Array.from({ length: connections }, useConnection));
  const after = readCpu(children);
  const cpu = after.map((spent, at) => ((spent - before[at]!) * 1e6) / times.length);
  times.sort((a, b) => a - b);
  const at = (share: number) => times[Math.floor(times.length * share)]!;
  return { rate: times.length / seconds, p50: at(0.5), p99: at(0.99), cpu };
}

/** @param process index of the measured process */
function formatFigures({ rate, p50, p99, cpu }: Figures, process: number): string {
  return `${rate.toFixed(0).padStart(5)}/s (p50 ${p50.toFixed(2)} ms, p99 ${p99.toFixed(2)} ms, ${cpu[process]!.toFixed(0)} µs CPU)`;
}

/** Reads the seconds of CPU time that each process has used so far; 0 if the system does not provide them. */
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

async function waitForAnswer(url: string): Promise<void> {
  for (const end = Date.now() + 20_000; Date.now() < end; await new Promise((go) => setTimeout(go, 100))) {
    const answer = await fetch(url).catch(() => undefined);
    if (answer?.ok) return;
  }
  throw new Error(`${url} does not answer`);
}

async function findFreePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  return port;
}
