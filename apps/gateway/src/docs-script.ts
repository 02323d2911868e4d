/**
 * The browser script of /docs. It configures Swagger UI so that texts of services cannot place links or images on the page:
 * Swagger UI would render them as Markdown, with HTML that it sanitizes.
 */
export const script = `
'use strict';
const darkColors = matchMedia('(prefers-color-scheme: dark)');
const applyColors = () => document.documentElement.classList.toggle('dark-mode', darkColors.matches);
darkColors.addEventListener('change', applyColors);
applyColors();

/** Fills in a new key for each operation. */
function addIdempotencyKeys({ paths }) {
  for (const { parameters = [] } of Object.values(paths).flatMap(Object.values)) {
    const key = parameters.find(({ name }) => name === 'Idempotency-Key');
    if (key) key.example = crypto.randomUUID ? crypto.randomUUID() : String(Date.now()) + Math.random();
  }
}

/** Sends the access token of a sign-in with every later request. */
function keepToken(response) {
  const token = response.body && (response.body.accessToken || response.body.access_token);
  if (typeof token === 'string') ui.preauthorizeApiKey('bearer', token);
  return response;
}

/** Shows texts as they are, except for code in backticks, and the <i> that Swagger UI itself puts around labels. */
const showPlainTexts = ({ React }) => ({
  wrapComponents: {
    Markdown: () => ({ source }) => {
      if (typeof source !== 'string' || source === '') return null;
      const parts = source.replace(/<\\/?i>/g, '').split('\\x60')
        .map((part, at) => at % 2 ? React.createElement('code', null, part) : part);
      return React.createElement('div', { className: 'renderedMarkdown' }, React.createElement('p', null, ...parts));
    },
  },
});

let ui;
function show(spec) {
  addIdempotencyKeys(spec);
  ui = SwaggerUIBundle({
    spec,
    dom_id: '#docs',
    deepLinking: true,
    docExpansion: 'list',
    defaultModelsExpandDepth: -1,
    displayRequestDuration: true,
    filter: true,
    plugins: [showPlainTexts],
    validatorUrl: null,
    responseInterceptor: keepToken,
  });
}

fetch('/openapi.json')
  .then((response) => response.json())
  .then(show)
  .catch((error) => { document.getElementById('docs').textContent = 'cannot load /openapi.json: ' + error.message; });
`;
