import { readWorkspaceConfig } from '@jogakbo/contract/workspace';
import { readRun } from '../supervisor/run-record.ts';
import { openState } from '../supervisor/state.ts';
import { CliError, toMessage } from '../terminal/cli-error.ts';
import { toPrintable } from '../terminal/printable.ts';
import { root } from '../workspace.ts';

export interface SmokeOptions {
  url?: string;
}

interface ApiDocument {
  paths: Record<string, Record<string, Operation>>;
}

interface Operation {
  'x-access'?: string;
  parameters?: { in: string; required?: boolean }[];
}

const timeoutMs = 10_000;

/**
 * Checks a running store from outside, and changes nothing: it is ready, its API has the ready routes of
 * jogakbo.config.ts, and every public read that needs no input answers without a fault.
 */
export async function smoke({ url }: SmokeOptions): Promise<number> {
  const base = (url ?? findLocalUrl()).replace(/\/$/, '');
  const failures: string[] = [];
  const check = async (path: string) => {
    const began = performance.now();
    const { problem, status, document } = await get(base, path);
    const milliseconds = Math.round(performance.now() - began);
    console.log(
      `${problem ? 'FAIL' : 'ok  '}  GET ${path}  ${toPrintable(problem ?? `${status}, ${milliseconds} ms`)}`,
    );
    if (problem) failures.push(path);
    return document;
  };
  await check('/health/ready');
  const document = (await check('/openapi.json')) as ApiDocument | undefined;
  const missing = document ? findMissingRoutes(document, (await readWorkspaceConfig(root)).readyRoutes) : [];
  for (const route of missing)
    console.log(`FAIL  ${route} is a ready route of jogakbo.config.ts, and the API does not have it`);
  for (const path of document ? listPublicReads(document) : []) await check(path);
  if (failures.length + missing.length === 0) return 0;
  console.error(`\n${base} fails the smoke test: ${failures.length + missing.length} of its checks.`);
  return 1;
}

function findLocalUrl(): string {
  const run = readRun(openState());
  if (run) return run.publicUrl;
  throw new CliError('The store is not running.', {
    remedies: ['start it:  npm start', 'or name another one:  npx jogakbo smoke --url https://…'],
  });
}

/** @returns a problem for an answer that is a fault; 404 and 429 are answers of a store that works */
async function get(
  base: string,
  path: string,
): Promise<{ status?: number; problem?: string; document?: unknown }> {
  try {
    const response = await fetch(base + path, { signal: AbortSignal.timeout(timeoutMs) });
    const { status, ok } = response;
    const isOwn = path === '/health/ready' || path === '/openapi.json';
    if (status >= 500 || (isOwn && !ok)) {
      const text = (await response.text()).slice(0, 200);
      return { status, problem: `${status} ${text}` };
    }
    if (path === '/openapi.json') return { status, document: await response.json() };
    // A stream of events never ends.
    await response.body?.cancel();
    return { status };
  } catch (error) {
    return { problem: toMessage(error) };
  }
}

const findMissingRoutes = ({ paths }: ApiDocument, routes: readonly string[]): string[] =>
  routes.filter((route) => {
    const [method, path] = route.split(' ') as [string, string];
    return !paths[path]?.[method.toLowerCase()];
  });

/** The paths of the public reads without a required input. */
const listPublicReads = ({ paths }: ApiDocument): string[] =>
  Object.entries(paths).flatMap(([path, { get: operation }]) =>
    operation?.['x-access'] === 'public' &&
    !path.includes('{') &&
    !operation.parameters?.some(({ required }) => required) &&
    path !== '/openapi.json' &&
    path !== '/health/ready'
      ? [path]
      : [],
  );
