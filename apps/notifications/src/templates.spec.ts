import { describe, expect, it } from '@jest/globals';
import { formatMoney, type RenderedMail } from './layout.ts';
import {
  renderOrderCancelled,
  renderOrderConfirmed,
  renderOrderRefunded,
  renderOrderRejected,
  renderSignUpRepeated,
  renderWelcome,
  type Reader,
} from './templates.ts';

const orderId = '0199a0b0-0000-7000-8000-000000000001';
const order = {
  orderId,
  lines: [
    { productId: orderId, name: '조각보', quantity: 2, price: { amount: 42_000, currency: 'KRW' } },
    { productId: orderId, name: 'Tea <bowl>', quantity: 1, price: { amount: 9_500, currency: 'KRW' } },
  ],
  total: { amount: 93_500, currency: 'KRW' },
};
const templates: [string, (reader: Reader) => RenderedMail][] = [
  ['welcome', renderWelcome],
  ['sign-up repeated', renderSignUpRepeated],
  ['confirmed', (reader) => renderOrderConfirmed(reader, order)],
  ['rejected', (reader) => renderOrderRejected(reader, { ...order, rejection: 'out-of-stock' })],
  ['cancelled', (reader) => renderOrderCancelled(reader, order)],
  ['refunded', (reader) => renderOrderRefunded(reader, order)],
];
const hana = { language: 'ko' } as const;
const ada = { language: 'en' } as const;

describe.each(templates)('the %s mail', (_, write) => {
  it('is Korean or English, by the language of the reader', () => {
    const [korean, english] = [write(hana), write(ada)];
    expect(korean.subject).toMatch(/[가-힣]/);
    expect(korean.html).toContain('<html lang="ko">');
    expect(english.subject + english.text.replace('조각보', '')).not.toMatch(/[가-힣]/);
    expect(english.html).toContain('<html lang="en">');
  });

  it('has the same content in text and HTML, and no text from the member', () => {
    const member = { name: 'visit https://evil.example', email: 'x@evil.example', language: 'en' } as const;
    const { html, text, subject } = write(member);
    expect(html).toContain(`<h1>${subject}</h1>`);
    expect(html + text + subject).not.toContain('evil');
  });
});

describe('a mail about an order', () => {
  it('shows the lines, the total and the order number', () => {
    const { text, html } = renderOrderConfirmed(hana, order);
    expect(text).toContain(`- 조각보 × 2: ₩84,000\n- Tea <bowl> × 1: ₩9,500\n`);
    expect(text).toContain(`합계: ₩93,500\n주문 번호: ${orderId}`);
    expect(html).toContain('<td>조각보 × 2</td><td class="end">₩84,000</td>');
    expect(html).toContain('Tea &lt;bowl&gt; × 1');
    expect(html).toContain(orderId);
  });

  it.each([
    ['out-of-stock', 'We did not have enough of what you ordered.'],
    ['timeout', 'We could not process the order in time.'],
    ['card-declined', 'The payment was not approved.'],
  ])('explains the reason %s', (reason, explanation) => {
    expect(renderOrderRejected(ada, { ...order, rejection: reason }).text).toContain(explanation);
    expect(renderOrderRejected(hana, { ...order, rejection: reason }).text).not.toContain(reason);
  });
});

describe('formatMoney', () => {
  it.each([
    [{ amount: 1_234_567, currency: 'KRW' }, 'ko', '₩1,234,567'],
    [{ amount: 0, currency: 'KRW' }, 'en', '₩0'],
    [{ amount: 123_456, currency: 'USD' }, 'en', '$1,234.56'],
    [{ amount: 123_456, currency: 'USD' }, 'ko', 'US$1,234.56'],
    [{ amount: 1_234, currency: 'KWD' }, 'en', 'KWD\u00a01.234'],
    // Unicode CLDR has fewer digits than ISO 4217 for these.
    [{ amount: 129_900, currency: 'HUF' }, 'en', 'HUF\u00a01,299.00'],
    [{ amount: 8_950_000, currency: 'LBP' }, 'ko', 'LBP\u00a089,500.00'],
    [{ amount: 1_500_250, currency: 'IQD' }, 'en', 'IQD\u00a01,500.250'],
  ] as const)('formats %j in %s as %s', (amount, language, written) => {
    expect(formatMoney(amount, language)).toBe(written);
  });
});
