import { CliError, toMessage, UsageError } from '../terminal/cli-error.ts';
import { readRun, isSupervisorAlive } from '../supervisor/run-record.ts';
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

/** Runs `work` in a session of the operator of staff.json. @throws CliError if the store is not running or rejects a request */
export async function asOperator<T>(
  state: StateFolder,
  work: (client: OperatorClient) => Promise<T>,
): Promise<T> {
  const run = readRun(state);
  if (!run || !isSupervisorAlive(run) || run.phase !== 'ready') {
    throw new CliError('The store is not running.', { remedies: ['start it:  npm start'] });
  }
  const operator = readStaff(state).find(({ roles }) => roles.includes('operator'));
  if (!operator) throw new CliError('staff.json has no operator.', { remedies: ['create one:  npm start'] });
  const url = run.publicUrl.replace('//localhost', '//127.0.0.1');
  const { email, password } = operator;
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
