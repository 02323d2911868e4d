import { createHash } from 'node:crypto';
import { escapeHtml } from '@jogakbo/service/escape-html';

const style = `
:root { color-scheme: light dark; --line: light-dark(#d8d3ca, #3b3f4a); --paper: light-dark(#fbfaf7, #16181d);
  --ink: light-dark(#22242a, #e9e7e2); --soft: light-dark(#5f626b, #a5a8b1); --accent: light-dark(#a3402a, #f0937c) }
* { box-sizing: border-box }
body { margin: 0; background: var(--paper); color: var(--ink); font: 16px/1.5 system-ui, sans-serif }
main { max-width: 1080px; margin: 0 auto; padding: 16px }
h1 { margin: 0; font-size: 1.5rem }
p { margin: 0 0 8px; color: var(--soft) }
small { color: var(--soft) }
a { color: var(--accent) }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px }
.links { list-style: none; padding: 0; margin: 16px 0 0 }
.links li { padding: 10px 0; border-top: 1px solid var(--line) }
.links a { display: inline-block; min-width: 12em; font-weight: 600 }
`;

/** Content-Security-Policy of the home page, which runs no scripts. */
export const homePolicy = [
  "default-src 'none'",
  `style-src 'sha256-${createHash('sha256').update(style).digest('base64')}'`,
  'img-src data:',
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

/** The JSON document at the root. */
export const createHomeIndex = (title: string) => ({
  name: title,
  description: 'The public HTTP API of the store.',
  documentation: '/docs',
  openapi: '/openapi.json',
  asyncapi: '/asyncapi.json',
  health: '/health/ready',
});

/** The HTML page at the root, until a service on the bus announces `GET /`. */
export const createHomePage = (title: string): string => `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escapeHtml(title)}</title>
<link rel="icon" href="data:,">
<style>${style}</style>
</head>
<body>
<main>
<h1>${escapeHtml(title)}</h1>
<p>The store is running. This is its public HTTP API; no service serves a storefront here yet.</p>
<ul class="links">
<li><a href="/docs">API documentation</a> <small>read and try every route</small></li>
<li><a href="/openapi.json">/openapi.json</a> <small>the same as OpenAPI 3.1</small></li>
<li><a href="/asyncapi.json">/asyncapi.json</a> <small>messages on the bus, as AsyncAPI 3</small></li>
<li><a href="/health/ready">/health/ready</a> <small>whether the store can serve requests</small></li>
</ul>
</main>
</body>
</html>
`;
