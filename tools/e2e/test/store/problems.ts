import { expect } from '@jest/globals';
import { type Answer } from '../../src/store.ts';

/** Matches a problem document (RFC 9457). @param path of the invalid field */
export const matchProblem = (status: number, code: string, path?: string) => ({
  status,
  body: {
    ...{
      status,
      code,
      type: `/problems/${code}`,
      title: expect.any(String),
      traceId: expect.stringMatching(/^[0-9a-f]{32}$/),
    },
    ...(path && { errors: expect.arrayContaining([{ path, message: expect.any(String) }]) }),
  },
});
export const pickResult = ({ status, body }: Answer) => ({ status, body });
