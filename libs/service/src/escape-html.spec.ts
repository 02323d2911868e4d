import { describe, expect, it } from '@jest/globals';
import { escapeHtml } from './escape-html.ts';

describe('HTML', () => {
  it('is escaped for elements and quoted attributes', () =>
    expect(escapeHtml(`<a title="Tea & 'bowl'">`)).toBe(
      '&lt;a title=&quot;Tea &amp; &#39;bowl&#39;&quot;&gt;',
    ));

  it('keeps references in the text as text', () => expect(escapeHtml('&lt;')).toBe('&amp;lt;'));
});
