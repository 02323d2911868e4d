// The process of dense mode: runs all services that its supervisor names, each with its own environment. JavaScript,
// because Node's removal of types would take 20 MB.
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';

const settingsErrorCode = 78;
const stopTimeoutMs = 9_500;

const starts = new Map();
const running = new Map();

/** Loads the services: each main.js hands over how it is started. */
async function load(services) {
  globalThis[Symbol.for('jogakbo.service-host')] = (name, start) => void starts.set(name, start);
  for (const { main } of services) await import(pathToFileURL(resolve(main)).href);
}

async function start({ name, main, env }) {
  // A service that was suspended when this process started is not loaded yet.
  if (!starts.has(name)) await load([{ main }]);
  const service = await starts.get(name)(env);
  running.set(name, service);
  return service.url;
}

async function stop(name) {
  const service = running.get(name);
  running.delete(name);
  await service?.stop();
}

async function startAll(services) {
  await load(services);
  const results = await Promise.allSettled(services.map(start));
  const failed = results.flatMap(({ reason }, index) => (reason ? [[services[index].name, reason]] : []));
  for (const [name, error] of failed) report(name, error);
  if (failed.length > 0) process.exit(failed.every(([, { wrong }]) => wrong) ? settingsErrorCode : 1);
  const urls = services.map(({ name }, index) => [name, results[index].value]);
  process.send({ type: 'ready', urls: Object.fromEntries(urls) });
  // Returns what only the start needed, as each service by itself does.
  gc({ type: 'major', execution: 'sync', flavor: 'last-resort' });
}

function report(service, error) {
  if (!error.wrong) return console.error(`${service} cannot start:`, error);
  console.error(`${service} cannot start: ${error.wrong.length} of its settings are wrong.`);
  for (const { key, origin, problem } of error.wrong) console.error(`  ${key} (${origin}): ${problem}`);
}

async function stopAll(code = 0) {
  setTimeout(() => process.exit(1), stopTimeoutMs).unref();
  const results = await Promise.allSettled([...running.keys()].map(stop));
  const failed = results.filter(({ status }) => status === 'rejected');
  for (const { reason } of failed) console.error(reason);
  process.exit(failed.length > 0 ? 1 : code);
}

/** Answers each request of the supervisor with the same id. */
async function answer({ id, type, service }) {
  try {
    const url = type === 'stop' ? await stop(service.name) : await start(service);
    process.send({ type: 'answer', id, url });
  } catch (error) {
    process.send({ type: 'answer', id, error: error.message });
    if (type === 'stop') return;
    // All services start again, with growing delays, as a single one does in a process of its own.
    report(service.name, error);
    await stopAll(1);
  }
}

process.on('message', (message) =>
  message.type === 'start-all' ? startAll(message.services) : answer(message),
);
for (const event of ['SIGTERM', 'SIGINT', 'disconnect']) process.once(event, () => stopAll());
