// Offers a running store three times its capacity, and prints the remaining goodput:
// npm run bench:overload -- --path /v1/… [--seconds 60] [--times 3] [--url http://localhost:3000]
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { Connection, encodeRequest } from './connection.ts';

const usage =
  'npm run bench:overload -- --path /v1/… [--seconds 60] [--times 3] [--url http://localhost:3000]';
const { values } = parseArgs({
  options: {
    url: { type: 'string', default: 'http://localhost:3000' },
    path: { type: 'string' },
    seconds: { type: 'string', default: '60' },
    times: { type: 'string', default: '3' },
    help: { type: 'boolean', short: 'h' },
  },
});
if (values.help) {
  console.log(usage);
  process.exit(0);
}
if (values.path === undefined) {
  console.error(`--path is missing: the path of a GET request\n${usage}`);
  process.exit(2);
}
const seconds = Number(values.seconds);
const url = new URL(values.path, values.url);
const maxConnections = 1_024;
/** Later answers are useless, because the client has gone. */
const timeoutMs = 2_000;

interface Answer {
  status: number;
  took: number;
}

/** Bypasses all caches. */
const request = encodeRequest(url, ['Cache-Control: no-cache']);

const idle: Connection[] = [];
const waiting: ((connection: Connection) => void)[] = [];
let opened = 0;

function withConnection(use: (connection: Connection) => void): void {
  for (let one = idle.pop(); one; one = idle.pop()) {
    if (one.isOpen) return use(one);
    opened -= 1;
  }
  if (opened === maxConnections) return void waiting.push(use);
  opened += 1;
  use(new Connection(url));
}

function releaseConnection(one: Connection): void {
  const next = waiting.shift();
  if (next) return next(one.isOpen ? one : new Connection(url));
  if (one.isOpen) idle.push(one);
  else opened -= 1;
}

function ask(): Promise<Answer> {
  const startedAt = performance.now();
  return new Promise((resolve) => {
    withConnection((one) => {
      one.ask(request, (status) => {
        releaseConnection(one);
        resolve({ status, took: performance.now() - startedAt });
      });
    });
  });
}

const isGood = ({ status, took }: Answer): boolean => status === 200 && took <= timeoutMs;
const isShed = ({ status }: Answer): boolean => status === 503 || status === 429;

/** Runs a closed loop: each customer sends a request after each answer. Returns good answers per second. */
async function runClosedLoop(customers: number, time: number): Promise<number> {
  const until = performance.now() + time * 1_000;
  let good = 0;
  await Promise.all(
    Array.from({ length: customers }, async () => {
      while (performance.now() < until) if (isGood(await ask())) good += 1;
    }),
  );
  return good / time;
}

/** Runs an open loop: so many requests per second, whether or not earlier ones were answered. */
async function runOpenLoop(rate: number, time: number): Promise<Answer[]> {
  const sent: Promise<Answer>[] = [];
  const startedAt = performance.now();
  for (let elapsed = 0; elapsed < time; elapsed = (performance.now() - startedAt) / 1_000) {
    while (sent.length < rate * elapsed) sent.push(ask());
    await sleep(2);
  }
  return Promise.all(sent);
}

function percentile(answers: Answer[], p: number): string {
  const times = answers.map(({ took }) => took).sort((a, b) => a - b);
  return times.length === 0 ? '–' : `${times[Math.floor((times.length * p) / 100)]!.toFixed(0)} ms`;
}

await runClosedLoop(16, 5); // warms up the compiler
const peaks: number[] = [];
for (const customers of [8, 16, 32, 64]) {
  peaks.push(await runClosedLoop(customers, 5));
  console.log(`${customers} customers: ${peaks.at(-1)!.toFixed(0)} good answers/s`);
}
const peak = Math.max(...peaks);
const rate = peak * Number(values.times);
console.log(`offered for ${seconds} s: ${rate.toFixed(0)}/s`);
const answers = await runOpenLoop(rate, seconds);
const good = answers.filter(isGood);
const shed = answers.filter(isShed);
const rest = Map.groupBy(
  answers.filter((one) => !isGood(one) && !isShed(one)),
  ({ status }) => status,
);
console.log(
  [
    `goodput ${(good.length / seconds).toFixed(0)}/s = ${((good.length / seconds / peak) * 100).toFixed(0)} % of the peak, p50 ${percentile(good, 50)}, p99 ${percentile(good, 99)}`,
    `shed ${shed.length}: p50 ${percentile(shed, 50)}, p95 ${percentile(shed, 95)}, p99 ${percentile(shed, 99)}`,
    `other answers: ${[...rest].map(([status, some]) => `${some.length} with status ${status}, p50 ${percentile(some, 50)}`).join('; ') || 'nothing'}`,
  ].join('\n'),
);
const endedAt = performance.now();
for (;;) {
  const again = await runClosedLoop(32, 1);
  const after = (performance.now() - endedAt) / 1_000;
  if (again >= peak * 0.9 || after > 60) {
    console.log(`${again.toFixed(0)} good answers/s again after ${after.toFixed(1)} s`);
    break;
  }
}
for (const one of idle) one.close();
