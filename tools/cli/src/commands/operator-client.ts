import { CliError, toMessage, UsageError } from '../terminal/cli-error.ts';
import { readRun, isSupervisorAlive, type RunRecord } from '../supervisor/run-record.ts';
import { readSecretSetting } from '../supervisor/secret-setting.ts';
import { readStaff } from '../supervisor/staff.ts';
import { type StateFolder } from '../supervisor/state.ts';

interface Problem {
  code?: string;
  detail?: string;
  errors?: { path: string; message: string }[];
}

/** A client for the HTTP API of the running store, with the operator's session. */
export interface OperatorClient {
  /** @param query appended to the path, without undefined fields @throws CliError with the problem of the response */
  get<T>(path: string, query?: Record<string, string | undefined>): Promise<T>;
  post<T>(path: string, body: unknown): Promise<T>;
  put<T>(path: string, body: unknown): Promise<T>;
  delete(path: string): Promise<void>;
}

/** @throws CliError if the store is not running, or not ready */
export function findReadyStore(state: StateFolder): RunRecord {
  const run = readRun(state);
  if (run && isSupervisorAlive(run) && run.phase === 'ready') return run;
  throw new CliError('The store is not running.', { remedies: ['start it:  npm start'] });
}

interface OperatorLogin {
  url: string;
  email: string;
  password: string;
}

/**
 * Runs `work` in a session of an operator.
 * @param url the gateway of another environment, whose operator is JOGAKBO_OPERATOR_EMAIL and JOGAKBO_OPERATOR_PASSWORD; by
 *   default the store of this machine, with the operator of staff.json
 * @throws CliError if the store is not running or rejects a request
 */
export async function asOperator<T>(
  state: StateFolder,
  work: (client: OperatorClient) => Promise<T>,
  remoteUrl?: string,
): Promise<T> {
  const { url, email, password } = remoteUrl === undefined ? findLogin(state) : readLogin(remoteUrl);
  const { accessToken } = await call<{ accessToken: string }>(url, undefined, 'POST', '/v1/sessions', {
    email,
    password,
  });
  try {
    return await work({
      get: (path, query = {}) => {
        const fields = Object.entries(query).filter(
          (pair): pair is [string, string] => pair[1] !== undefined,
        );
        const search = new URLSearchParams(fields).toString();
        return call(url, accessToken, 'GET', search ? `${path}?${search}` : path);
      },
      post: (path, body) => call(url, accessToken, 'POST', path, body),
      put: (path, body) => call(url, accessToken, 'PUT', path, body),
      delete: (path) => call(url, accessToken, 'DELETE', path),
    });
  } finally {
    await call(url, accessToken, 'DELETE', '/v1/sessions/current').catch(() => undefined);
  }
}

function findLogin(state: StateFolder): OperatorLogin {
  const run = findReadyStore(state);
  const operator = readStaff(state).find(({ roles }) => roles.includes('operator'));
  if (!operator) throw new CliError('staff.json has no operator.', { remedies: ['create one:  npm start'] });
  const { email, password } = operator;
  return { url: run.publicUrl.replace('//localhost', '//127.0.0.1'), email, password };
}

/** @throws UsageError */
function readLogin(url: string): OperatorLogin {
  const { protocol, origin, pathname } = URL.canParse(url)
    ? new URL(url)
    : { protocol: '', origin: '', pathname: '' };
  if (!['http:', 'https:'].includes(protocol))
    throw new UsageError(`"${url}" is not the URL of a gateway.`, {
      remedies: ['such as https://shop.example.com'],
    });
  const email = process.env.JOGAKBO_OPERATOR_EMAIL;
  const password = readSecretSetting('JOGAKBO_OPERATOR_PASSWORD');
  if (email && password) return { url: origin + pathname.replace(/\/$/, ''), email, password };
  throw new UsageError(`The operator of ${origin} is not known.`, {
    remedies: ['set JOGAKBO_OPERATOR_EMAIL, and JOGAKBO_OPERATOR_PASSWORD or JOGAKBO_OPERATOR_PASSWORD_FILE'],
  });
}

async function call<T>(
  url: string,
  token: string | undefined,
  method: string,
  path: string,
  body?: unknown,
): Promise<T> {
  let response: Response;
  let text: string;
  try {
    response = await fetch(url + path, {
      method,
      headers: {
        ...(body !== undefined && { 'content-type': 'application/json' }),
        ...(token && { authorization: `Bearer ${token}` }),
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
      signal: AbortSignal.timeout(10_000),
    });
    text = await response.text();
  } catch (error) {
    throw new CliError(`The gateway ${url} does not respond: ${toMessage(error)}.`, {
      remedies: ['npx jogakbo ps', 'npx jogakbo logs gateway'],
    });
  }
  if (response.ok) return (text ? JSON.parse(text) : undefined) as T;
  const { code, detail, errors = [] } = parseProblem(text);
  const details = errors.map(({ path, message }) => `${path}: ${message}`);
  if (response.status === 400 || response.status === 422)
    throw new UsageError(detail ?? code ?? text, { details });
  throw new CliError(
    `${method} ${path.split('?')[0]} returned ${response.status}: ${detail ?? code ?? text}.`,
    {
      details,
      remedies: response.status >= 500 ? ['npx jogakbo ps'] : [],
    },
  );
}

function parseProblem(text: string): Problem {
  try {
    return JSON.parse(text) as Problem;
  } catch {
    return { detail: text.slice(0, 200) };
  }
}
