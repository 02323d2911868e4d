import { describe, expect, it } from '@jest/globals';
import { service } from '@jogakbo/contract';
import { z } from 'zod';
import { buildEventData, findEvent } from './emit.ts';

const library = service('library');
const BookLent = library.event(
  'book-lent',
  z.object({ title: z.string(), pages: z.int().positive(), shelf: z.string().optional() }),
);

describe('the data of an event', () => {
  it('is an example, in which given fields replace others', () => {
    const example = { title: expect.any(String), pages: expect.any(Number), shelf: expect.any(String) };
    expect(buildEventData(BookLent)).toEqual(example);
    expect(buildEventData(BookLent, { pages: 3 })).toEqual({ ...example, pages: 3 });
  });

  it('names every wrong field, and those that the contract has', () => {
    const build = () => buildEventData(BookLent, { pages: 'three', title: 4, author: 'Kim' });
    expect(build).toThrow('The data does not fit library.book-lent.');
    try {
      build();
    } catch (error) {
      expect(error).toMatchObject({
        details: [
          'author: unknown field',
          'title: Invalid input: expected string, received number',
          'pages: Invalid input: expected number, received string',
        ],
        remedies: ['its fields are: title, pages, shelf'],
      });
    }
  });
});

describe('the contract of an event', () => {
  it('is found in libs/contracts', async () => {
    expect(await findEvent('identity.tokens-revoked')).toHaveProperty('name', 'identity.tokens-revoked');
  });

  it('is an error with the most similar name, if there is none', async () => {
    await expect(findEvent('identity.token-revoked')).rejects.toMatchObject({
      message: 'identity has no event called identity.token-revoked.',
      remedies: ['did you mean identity.tokens-revoked?', expect.stringContaining('its events are: ')],
    });
    await expect(findEvent('museum.art-moved')).rejects.toThrow(
      'There is no contract of a service called museum.',
    );
    await expect(findEvent('../x.y')).rejects.toThrow('There is no contract');
  });
});
