import { minorUnitDigits, type Money } from '@jogakbo/contracts-commerce';
import { escapeHtml } from '@jogakbo/service/escape-html';

const locales = { ko: 'ko-KR', en: 'en-US' } as const;
export type TextLanguage = keyof typeof locales;

/** The language of a mail to a reader; Korean if there are no texts in the language that the reader prefers. */
export const toTextLanguage = (language: string): TextLanguage => (language === 'en' ? 'en' : 'ko');

/** A mail without its addresses. */
export interface RenderedMail {
  subject: string;
  text: string;
  html: string;
}

/** The content of a mail before rendering. All fields are plain text. */
export interface MailContent {
  language: TextLanguage;
  subject: string;
  paragraphs: string[];
  /** Label and value, one pair per row. */
  facts?: [string, string][];
  /** The order lines. */
  lines?: { name: string; quantity: number; amount: string }[];
  signature: string;
}

/** Renders the content as plain text and as HTML. */
export function renderContent(content: MailContent): RenderedMail {
  return { subject: content.subject, text: renderText(content), html: renderHtml(content) };
}

/** A cache: creating a format takes longer than the rest of a mail. */
const formats = new Map<string, Intl.NumberFormat>();

function getFormat(language: TextLanguage, currency: string): Intl.NumberFormat {
  const known = formats.get(`${language} ${currency}`);
  if (known) return known;
  const digits = minorUnitDigits(currency);
  const format = new Intl.NumberFormat(locales[language], {
    style: 'currency',
    currency,
    minimumFractionDigits: digits,
    maximumFractionDigits: digits,
  });
  formats.set(`${language} ${currency}`, format);
  return format;
}

/** Formats an amount in the reader's language. */
export function formatMoney({ amount, currency }: Money, language: TextLanguage, times = 1): string {
  return getFormat(language, currency).format((amount * times) / 10 ** minorUnitDigits(currency));
}

function renderText({ paragraphs, facts = [], lines = [], signature }: MailContent): string {
  const blocks = [
    ...paragraphs,
    lines.map(({ name, quantity, amount }) => `- ${name} × ${quantity}: ${amount}`).join('\n'),
    facts.map(([label, value]) => `${label}: ${value}`).join('\n'),
    `-- \n${signature}`,
  ];
  return `${blocks.filter(Boolean).join('\n\n')}\n`;
}

/** All mail clients support tables and inline styles; some also support the dark colour scheme. */
const style = `
  :root { color-scheme: light dark; supported-color-schemes: light dark; }
  body { margin: 0; background: #f4f1ea; color: #2b2d42; font-family: 'Apple SD Gothic Neo', 'Malgun Gothic', 'Noto Sans KR', 'Segoe UI', Helvetica, Arial, sans-serif; }
  .card { background: #ffffff; border-radius: 12px; overflow: hidden; }
  .inside { padding: 28px 28px 24px; font-size: 16px; line-height: 1.6; word-break: keep-all; overflow-wrap: anywhere; }
  h1 { margin: 0 0 16px; font-size: 22px; line-height: 1.35; }
  p { margin: 0 0 14px; }
  .rows { width: 100%; border-collapse: collapse; margin: 6px 0 14px; font-size: 15px; }
  .rows td { padding: 9px 0; border-top: 1px solid #e4dfd3; vertical-align: top; }
  .rows td.end { text-align: right; white-space: nowrap; padding-left: 16px; }
  .rows td.value { text-align: right; padding-left: 16px; }
  .quiet { color: #5c5f73; font-size: 13px; }
  @media (max-width: 480px) { .inside { padding: 22px 18px 18px; } }
  @media (prefers-color-scheme: dark) {
    body { background: #16171d !important; color: #ece9e1 !important; }
    .card { background: #22242d !important; }
    .rows td { border-color: #3a3d49 !important; }
    .quiet { color: #a9adbd !important; }
  }`;

const bandColours = ['#c8553d', '#f2c14e', '#588b8b', '#3d405b', '#81b29a', '#e07a5f'];

function renderHtml({
  language,
  subject,
  paragraphs,
  facts = [],
  lines = [],
  signature,
}: MailContent): string {
  const patches = bandColours.map((colour) => `<td height="10" style="background:${colour}"></td>`).join('');
  const bought = lines.map(
    ({ name, quantity, amount }) =>
      `<tr><td>${escapeHtml(name)} × ${quantity}</td><td class="end">${escapeHtml(amount)}</td></tr>`,
  );
  const known = facts.map(
    ([label, value]) =>
      `<tr><td class="quiet">${escapeHtml(label)}</td><td class="value">${escapeHtml(value)}</td></tr>`,
  );
  return `<!doctype html>
<html lang="${language}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${escapeHtml(subject)}</title>
<style>${style}
</style>
</head>
<body>
<table role="presentation" width="100%" cellspacing="0" cellpadding="0"><tr><td align="center" style="padding:24px 12px">
<div class="card" style="max-width:560px;text-align:left">
<table role="presentation" width="100%" cellspacing="0" cellpadding="0"><tr>${patches}</tr></table>
<div class="inside">
<h1>${escapeHtml(subject)}</h1>
${paragraphs.map((paragraph) => `<p>${escapeHtml(paragraph)}</p>`).join('\n')}
${renderRows(bought)}${renderRows(known)}<p class="quiet">${escapeHtml(signature)}</p>
</div>
</div>
</td></tr></table>
</body>
</html>
`;
}

const renderRows = (all: string[]) =>
  all.length > 0 ? `<table role="presentation" class="rows">\n${all.join('\n')}\n</table>\n` : '';
