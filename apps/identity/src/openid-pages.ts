import { createHash } from 'node:crypto';
import { escapeHtml } from '@jogakbo/service/escape-html';
import { getTexts } from './openid-texts.ts';

const style = `
:root { color-scheme: light dark }
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 24rem; margin: 10vh auto; padding: 0 1rem;
  background: light-dark(#fff, #16181d); color: light-dark(#1c1e21, #e8eaed) }
h1 { font-size: 1.25rem }
label { display: block; margin: 1rem 0 }
input { display: block; box-sizing: border-box; width: 100%; font: inherit; padding: .5rem; margin-top: .25rem;
  border: 1px solid light-dark(#767b85, #8d939e); border-radius: .375rem; background: transparent; color: inherit }
button { font: inherit; padding: .5rem 1rem; margin: .5rem .5rem 0 0; border-radius: .375rem; cursor: pointer;
  border: 1px solid light-dark(#1d4ed8, #93b4ff); background: light-dark(#1d4ed8, #93b4ff); color: light-dark(#fff, #10131a) }
button.refuse { background: transparent; color: inherit }
:focus-visible { outline: 3px solid light-dark(#1d4ed8, #93b4ff); outline-offset: 2px }
[role=alert] { color: light-dark(#b3261e, #ffb4ab) }`;
const styleHash = createHash('sha256').update(style).digest('base64');

/** @param redirectUri the final target of the form: browsers apply `form-action` to redirects, too */
export function getPageHeaders(redirectUri?: string): Record<string, string> {
  const target = redirectUri ? ` ${new URL(redirectUri).origin}` : '';
  return {
    'content-security-policy': [
      "default-src 'none'",
      `style-src 'sha256-${styleHash}'`,
      `form-action 'self'${target}`,
      "frame-ancestors 'none'",
      "base-uri 'none'",
    ].join('; '),
    'x-content-type-options': 'nosniff',
    'x-frame-options': 'DENY',
    // With `no-referrer`, the browser would send `Origin: null` for the page's own forms.
    'referrer-policy': 'same-origin',
    'cache-control': 'no-store',
    vary: 'Accept-Language',
  };
}

/** Headers of a page with a script that submits its form. @see getPageHeaders */
export const scriptHeaders = {
  'content-security-policy': "default-src 'none'; script-src; frame-ancestors 'none'; base-uri 'none'",
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  'referrer-policy': 'no-referrer',
  'cache-control': 'no-store',
};

type Refusal = 'wrong-credentials' | 'too-many-attempts' | 'too-busy';

const renderPage = (language: string, heading: string, content: string) => `<!doctype html>
<html lang="${language}"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>${escapeHtml(getTexts(language).title)}</title><style>${style}</style></head>
<body><main><h1>${escapeHtml(heading)}</h1>${content}</main></body></html>`;

/** @param action the base URL of the form */
export function renderSignInPage(
  language: string,
  client: string,
  action: string,
  refusal?: Refusal,
): string {
  const text = getTexts(language);
  return renderPage(
    language,
    text.signIn(client),
    `${refusal ? `<p role="alert">${text[refusal]}</p>` : ''}
    <form method="post" action="${escapeHtml(action)}/sign-in">
    <label>${text.email}<input name="email" type="email" autocomplete="username" required maxlength="254" autofocus></label>
    <label>${text.password}<input name="password" type="password" autocomplete="current-password" required maxlength="200"></label>
    <button>${text.submit}</button>
    <button class="refuse" formaction="${escapeHtml(action)}/refuse" formnovalidate>${text.refuse}</button></form>`,
  );
}

export function renderConsentPage(
  language: string,
  client: string,
  action: string,
  scopes: readonly string[],
): string {
  const text = getTexts(language);
  const names: Record<string, string> = text.scopes;
  const items = scopes.map((scope) => `<li>${escapeHtml(names[scope] ?? scope)}</li>`).join('');
  return renderPage(
    language,
    text.consent(client),
    `<ul>${items}</ul><form method="post" action="${escapeHtml(action)}/consent"><button>${text.allow}</button>
    <button class="refuse" formaction="${escapeHtml(action)}/refuse">${text.refuse}</button></form>`,
  );
}

/** @param detail by default that the request has expired */
export function renderProblemPage(language: string, detail?: string): string {
  const text = getTexts(language);
  return renderPage(language, text.problem, `<p role="alert">${escapeHtml(detail ?? text.expired)}</p>`);
}
