import { createHash, randomBytes } from 'node:crypto';
import { scriptPath, stylePath } from './docs-assets.ts';
import { script } from './docs-script.ts';

const toHash = (text: string): string => `'sha256-${createHash('sha256').update(text).digest('base64')}'`;

const style = `
body { margin: 0 }
html.dark-mode body { background: #1c2022 }
html.dark-mode .swagger-ui .headers td { color: #e4e6e6 }
.swagger-ui .info { margin: 24px 0 0 }
.swagger-ui .scheme-container { margin: 0 0 8px; padding: 16px 0 }
.swagger-ui .filter .operation-filter-input { margin: 16px 0 8px; width: 100%; max-width: none }
.swagger-ui .response-col_links { display: none }
.swagger-ui .headers td, .swagger-ui .headers th { padding-right: 12px }
@media (max-width: 640px) {
  .swagger-ui .opblock .opblock-section-header { padding: 8px 12px }
  .swagger-ui .try-out .btn { min-width: 0; padding: 5px 12px; margin-left: 8px }
  .swagger-ui .opblock-description-wrapper, .swagger-ui .table-container { padding: 12px }
}
`;
const scriptHash = toHash(script);
const styleHash = toHash(style);

/** The page /docs: Swagger UI, which reads /openapi.json. It works without internet access. */
export interface DocsPage {
  html: string;
  /** Content-Security-Policy: the page runs only its own scripts and styles, and connects only to its own origin. */
  policy: string;
}

/** Builds the page with a new nonce, because a hash of an external style sheet permits nothing. */
export function buildDocsPage(): DocsPage {
  const nonce = randomBytes(16).toString('base64');
  const policy = [
    "default-src 'none'",
    `script-src ${scriptHash} 'nonce-${nonce}'`,
    `style-src ${styleHash} 'nonce-${nonce}'`,
    "connect-src 'self'",
    'img-src data:',
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join('; ');
  const html = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>API documentation</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="${stylePath}" nonce="${nonce}">
<style>${style}</style>
</head>
<body>
<div id="docs"></div>
<noscript><p>This page needs JavaScript; the document itself is at /openapi.json.</p></noscript>
<script src="${scriptPath}" nonce="${nonce}"></script>
<script>${script}</script>
</body>
</html>
`;
  return { html, policy };
}
