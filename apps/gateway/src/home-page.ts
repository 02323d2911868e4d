import { style } from './docs-page.ts';

/** The JSON document at the root. */
export const homeIndex = {
  name: 'Jogakbo',
  description: 'The public HTTP API of the store.',
  documentation: '/docs',
  openapi: '/openapi.json',
  asyncapi: '/asyncapi.json',
  health: '/health/ready',
};

/** The HTML page at the root, until a service on the bus announces `GET /`. */
export const homePage = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Jogakbo</title>
<link rel="icon" href="data:,">
<style>${style}</style>
</head>
<body>
<main>
<h1>Jogakbo</h1>
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
