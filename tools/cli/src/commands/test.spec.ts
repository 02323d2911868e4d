import { expect, it } from '@jest/globals';
import { assertProjectsExist } from './test.ts';

it('accepts every project, also one inside of another', () => {
  expect(() => assertProjectsExist(['gateway', 'contracts-config', 'messaging-test'])).not.toThrow();
});

it('rejects an unknown project with the most similar name', () => {
  expect(() => assertProjectsExist(['gatway'])).toThrow(
    expect.objectContaining({ remedies: ['did you mean gateway?'] }),
  );
});
