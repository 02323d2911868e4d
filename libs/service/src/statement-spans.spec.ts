import { describe, expect, it } from '@jest/globals';
import { withCall, type SpanAttributes, type Spans, type SpanStart } from '@jogakbo/messaging';
import { StatementSpans } from './statement-spans.ts';

describe('spans of statements', () => {
  const started: {
    what: SpanStart;
    parent: string | undefined;
    ended?: string | undefined;
    isOpen: boolean;
  }[] = [];
  const spans: Spans = {
    start(what, parent) {
      const span = { what, parent: parent?.traceparent, isOpen: true } as (typeof started)[number];
      started.push(span);
      return {
        trace: parent!,
        rename: () => undefined,
        end: (errorType?: string, _attributes?: SpanAttributes) =>
          Object.assign(span, { ended: errorType, isOpen: false }),
      };
    },
  };
  const recorder = new StatementSpans(spans);
  const inCall = <T>(run: () => T) => withCall({ traceparent: 'parent', language: 'en' }, run);

  it.each([
    ['SELECT * FROM "order_list" WHERE id = $1', 'SELECT order_list'],
    ['select extract(epoch FROM due_at), (SELECT key FROM person) FROM event', 'SELECT event'],
    ['INSERT INTO mail (mail_id) VALUES ($1)', 'INSERT mail'],
    ['WITH mine AS (INSERT INTO outbox (id) VALUES ($1) RETURNING id) SELECT id FROM mine', 'WITH outbox'],
    ['COMMIT', 'COMMIT'],
  ])('are named after their operation and table: %s', (text, name) => {
    started.length = 0;
    inCall(() => recorder.record(text, () => undefined));
    expect(started[0]!.what.name).toBe(name);
    expect(started[0]!.parent).toBe('parent');
  });

  it('end with the promise of the statement, with the code of its error', async () => {
    started.length = 0;
    await inCall(() => recorder.record({ text: 'SELECT 1' }, () => Promise.resolve()));
    expect(started[0]).toMatchObject({ isOpen: false, ended: undefined });
    const failing = inCall(() =>
      recorder.record('SELECT 2', () => Promise.reject(Object.assign(new Error('x'), { code: '23505' }))),
    );
    await expect(failing).rejects.toThrow('x');
    expect(started[1]).toMatchObject({ isOpen: false, ended: '23505' });
  });

  it('have no literals', () => {
    started.length = 0;
    inCall(() =>
      recorder.record(
        "SELECT * FROM member\n  WHERE email = 'ada@example.com' AND name = 'O''Hara'",
        () => undefined,
      ),
    );
    expect(started[0]!.what.attributes['db.query.text']).toBe(
      'SELECT * FROM member WHERE email = ? AND name = ?',
    );
  });

  it('are not recorded outside of a message or request', () => {
    started.length = 0;
    expect(recorder.record('SELECT 1', () => 7)).toBe(7);
    expect(started).toEqual([]);
  });
});
