import { describe, expect, it } from '@jest/globals';
import { Id, Rejection, service } from '@jogakbo/contract';
import { z } from 'zod';
import { findStubProblems, stub, stubWithExample, stubWithFailure } from './stubs.ts';

const library = service('library');
const FindBooks = library.query('find-books', {
  input: z.strictObject({ title: z.string() }),
  output: z.object({ items: z.array(z.object({ bookId: Id, pages: z.int() })) }),
  rejections: { 'too-many-books': 422 },
});
const LendBook = library.command('lend-book', { input: z.strictObject({ bookId: Id }) });
const BookLent = library.event('book-lent', z.object({ bookId: Id }));
const Other = service('museum').query('find-art', { input: z.strictObject({}), output: z.object({}) });
const ArtMoved = service('gallery').event('art-moved', z.object({}));

const wanted = [FindBooks, LendBook];
const find = (...stubs: unknown[]) => findStubProblems(stubs, wanted);
const context = { publish: () => undefined };
const bookId = '01890000-0000-7000-8000-000000000001';

describe('the check of stubs', () => {
  it('accepts outputs, functions, rejections and events', async () => {
    const stubs = [
      stub(FindBooks, ({ title }) =>
        title === '' ? FindBooks.reject('too-many-books') : { items: [{ bookId, pages: title.length }] },
      ),
      stub(LendBook, (input, { publish }) => publish(BookLent(input))),
    ];
    expect(await find(...stubs)).toEqual([]);
    expect(await find(stub(FindBooks, FindBooks.reject('too-many-books')))).toEqual([]);
    expect(await find(...wanted.map(stubWithExample))).toEqual([]);
  });

  it('names the field of a wrong output', async () => {
    const wrong = { items: [{ bookId, pages: 'many' }] } as never;
    const problem = 'library.find-books: items.0.pages: Invalid input: expected int, received string';
    expect(await find(stub(FindBooks, wrong))).toEqual([problem.replace('int', 'number')]);
    expect(await find(stub(FindBooks, () => wrong))).toEqual([problem.replace('int', 'number')]);
  });

  it('names the field of a wrong event, and an event of another service', async () => {
    const publishes = (message: unknown) => stub(LendBook, (_, { publish }) => publish(message as never));
    expect(await find(publishes(BookLent({ bookId: 'x' })))).toEqual([
      'library.lend-book publishes library.book-lent: bookId: Invalid UUID',
    ]);
    expect(await find(publishes(ArtMoved({})))).toEqual([
      'library.lend-book publishes gallery.art-moved, which is not an event of library',
    ]);
  });

  it('refuses an unknown rejection, a fault, a repetition, and a request that is not called', async () => {
    const repeated = stubWithExample(LendBook);
    const problems = await find(
      stub(FindBooks, new Rejection('lost', 422)),
      stub(Other, {}),
      ...[repeated, repeated],
      'library.find-books',
    );
    expect(problems).toEqual([
      expect.stringMatching(
        /^library\.find-books has no rejection lost: use one of too-many-books, invalid, /,
      ),
      'museum.find-art: the service does not call it, so it is not stubbed',
      'library.lend-book is stubbed twice',
      'entry 4 is no stub: write it as stub(Contract, answer)',
    ]);
    const faulty = stub(FindBooks, ({ title }) => {
      throw new TypeError(`no ${title.length === 0 ? 'title' : 'book'}`);
    });
    expect(await find(faulty)).toEqual([
      expect.stringMatching(/^library\.find-books: its stub failed for the input \{"title":".*"\}: no /),
    ]);
  });
});

describe('a stub that fails', () => {
  it('rejects', async () => {
    const failing = stubWithFailure(FindBooks, 'too-many-books');
    await expect(failing.answer({}, context)).rejects.toMatchObject({ code: 'too-many-books', status: 422 });
    await expect(stubWithFailure(FindBooks, 'not-found').answer({}, context)).rejects.toMatchObject({
      status: 404,
    });
  });

  it('has a fault', async () => {
    await expect(stubWithFailure(LendBook, 'fault').answer({}, context)).rejects.toThrow(
      'library.lend-book fails because its stub was set to do so',
    );
  });

  it('needs a rejection of the contract', () => {
    expect(() => stubWithFailure(LendBook, 'lost')).toThrow('library.lend-book has no rejection lost');
  });
});
