import { minorUnitDigits, type Language, type Money } from '@jogakbo/contract';

/** A mail without its addresses. */
export interface Letter {
  subject: string;
  text: string;
  html: string;
}

/** What a mail says, before it has a form. All of it is plain text. */
export interface Content {
  language: Language;
  subject: string;
  paragraphs: string[];
  /** Label and value, one a row. */
  facts?: [string, string][];
  /** What was bought: name, quantity, amount. */
  lines?: { name: string; quantity: number; amount: string }[];
  signature: string;
}

/** Gives a content its two forms, plain text and HTML, which say the same. */
export function layOut(content: Content): Letter {
  return { subject: content.subject, text: asText(content), html: asHtml(content) };
}

const locales = { ko: 'ko-KR', en: 'en-US' } as const;

/** Costs more to make than all the rest of a mail. */
const formats = new Map<string, Intl.NumberFormat>();

function getFormat(language: Language, currency: string): Intl.NumberFormat {
  const known = formats.get(`${language} ${currency}`);
  if (known) return known;
  const digits = minorUnitDigits(currency);
  const format = new Intl.NumberFormat(locales[language], {
    ...{ style: 'currency', currency, minimumFractionDigits: digits, maximumFractionDigits: digits },
  });
  formats.set(`${language} ${currency}`, format);
  return format;
}

/** An amount as it is written in the reader's language. */
export function money({ amount, currency }: Money, language: Language, times = 1): string {
  return getFormat(language, currency).format((amount * times) / 10 ** minorUnitDigits(currency));
}

function asText({ paragraphs, facts = [], lines = [], signature }: Content): string {
  const blocks = [
    ...paragraphs,
    lines.map(({ name, quantity, amount }) => `- ${name} × ${quantity}: ${amount}`).join('\n'),
    facts.map(([label, value]) => `${label}: ${value}`).join('\n'),
    `-- \n${signature}`,
  ];
  return `${blocks.filter(Boolean).join('\n\n')}\n`;
}

/** Makes text safe in elements and in quoted attributes. */
const escapeHtml = (text: string): string =>
  text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
    .replaceAll("'", '&#39;');

/** Mail clients know tables and inline styles; those that know more get dark colours where the reader wants them. */
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

const cloth = ['#c8553d', '#f2c14e', '#588b8b', '#3d405b', '#81b29a', '#e07a5f'];

function asHtml({ language, subject, paragraphs, facts = [], lines = [], signature }: Content): string {
  const patches = cloth.map((colour) => `<td height="10" style="background:${colour}"></td>`).join('');
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
${rows(bought)}${rows(known)}<p class="quiet">${escapeHtml(signature)}</p>
</div>
</div>
</td></tr></table>
</body>
</html>
`;
}

const rows = (all: string[]) =>
  all.length > 0 ? `<table role="presentation" class="rows">\n${all.join('\n')}\n</table>\n` : '';
