/** The browser script of /docs. It inserts texts of the document as text, never as markup. */
export const script = `
'use strict';
const byId = (id) => document.getElementById(id);

function make(tag, properties, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children.filter((child) => child !== undefined && child !== null));
  return element;
}

function createSample(schema, document, depth = 0) {
  if (!schema || depth > 8) return null;
  if (schema.$ref) return createSample(schema.$ref.slice(2).split('/').reduce((at, key) => at && at[key], document), document, depth + 1);
  if (schema.examples) return schema.examples[0];
  if ('default' in schema) return schema.default;
  if ('const' in schema) return schema.const;
  if (schema.enum) return schema.enum[0];
  const choice = schema.anyOf || schema.oneOf;
  if (choice) return createSample(choice[0], document, depth + 1);
  if (schema.allOf) return Object.assign({}, ...schema.allOf.map((one) => createSample(one, document, depth + 1)));
  const type = Array.isArray(schema.type) ? schema.type[0] : schema.type;
  if (type === 'object') {
    const wanted = schema.required || Object.keys(schema.properties || {});
    return Object.fromEntries(wanted.map((key) => [key, createSample((schema.properties || {})[key], document, depth + 1)]));
  }
  if (type === 'array') return [createSample(schema.items, document, depth + 1)];
  if (type === 'integer' || type === 'number') return schema.minimum > 0 ? schema.minimum : 1;
  if (type === 'boolean') return true;
  if (schema.format === 'uuid') return '00000000-0000-7000-8000-000000000000';
  if (schema.format === 'email') return 'somebody@example.org';
  return type === 'string' ? 'text' : null;
}

const getTypeText = (schema) => [schema.type, schema.format].flat().filter(Boolean).join(', ');
const formatJson = (value) => JSON.stringify(value, null, 2);

function createField(parameter) {
  const schema = parameter.schema || {};
  const input = make('input', { name: parameter.in + ' ' + parameter.name, required: Boolean(parameter.required), autocomplete: 'off' });
  if (parameter.name === 'Idempotency-Key') input.value = crypto.randomUUID ? crypto.randomUUID() : String(Date.now());
  const hint = [parameter.in, getTypeText(schema), parameter.required ? 'required' : '', parameter.description].filter(Boolean).join(' · ');
  return make('label', {}, parameter.name, make('small', { textContent: hint }), input);
}

function createSchemaBlock(title, schema) {
  return make('details', {}, make('summary', {}, make('span', { textContent: title })),
    make('div', { className: 'inside' }, make('pre', { textContent: formatJson(schema), tabIndex: 0 })));
}

function describeResponses(operation) {
  const list = make('ul', {});
  const blocks = [];
  for (const [status, response] of Object.entries(operation.responses)) {
    list.append(make('li', { textContent: status + ': ' + response.description }));
    for (const [type, { schema }] of Object.entries(response.content || {})) {
      if (type === 'application/json' && schema && Object.keys(schema).length) blocks.push(createSchemaBlock('Response ' + status, schema));
    }
  }
  return [make('h3', { textContent: 'Responses' }), list, ...blocks];
}

async function call(method, path, form, shown) {
  const data = new FormData(form);
  const headers = {};
  const query = new URLSearchParams();
  let url = path;
  for (const [key, value] of data) {
    const [where, name] = key.split(' ');
    if (value === '') continue;
    if (where === 'path') url = url.replace('{' + name + '}', encodeURIComponent(value));
    if (where === 'query') query.append(name, value);
    if (where === 'header') headers[name] = value;
  }
  if (query.size) url += '?' + query;
  const token = byId('token').value.trim();
  if (token) headers.authorization = 'Bearer ' + token;
  const body = data.get('body');
  if (body) headers['content-type'] = 'application/json';
  shown.replaceChildren(make('p', { className: 'status', textContent: method + ' ' + url + ' …' }));
  try {
    const startedAt = performance.now();
    const response = await fetch(url, { method, headers, body: body || undefined, cache: 'no-store' });
    const text = await response.text();
    const ms = Math.round(performance.now() - startedAt);
    showAnswer(shown, method + ' ' + url + ': ' + response.status + ' ' + response.statusText + ' (' + ms + ' ms)', text, response.headers);
  } catch (error) {
    shown.replaceChildren(make('p', { className: 'status', textContent: method + ' ' + url + ': ' + error.message }));
  }
}

function showAnswer(shown, status, text, headers) {
  let answer = text;
  try {
    const read = JSON.parse(text);
    answer = formatJson(read);
    keepToken(read);
  } catch { /* not JSON: shown unchanged */ }
  if (answer.length > 20000) answer = answer.slice(0, 20000) + '\\n… (truncated)';
  const lines = [...headers].map(([name, value]) => name + ': ' + value);
  shown.replaceChildren(
    make('p', { className: 'status', textContent: status }),
    ...(answer ? [make('pre', { textContent: answer, tabIndex: 0 })] : []),
    make('details', {}, make('summary', {}, make('span', { textContent: 'Response headers' })),
      make('div', { className: 'inside' }, make('pre', { textContent: lines.join('\\n'), tabIndex: 0 }))));
}

/** Sends the access token of a sign-in with every later request. */
function keepToken(answer) {
  const token = answer && (answer.accessToken || answer.access_token);
  if (typeof token !== 'string') return;
  byId('token').value = token;
  byId('token-hint').textContent = 'from the last sign-in; sent with every request until this tab is closed or reloaded';
}

function createForm(method, path, operation, document) {
  const form = make('form', { className: 'inside', noValidate: false });
  form.append(make('p', { textContent: operation.description || '' }));
  const parameters = operation.parameters || [];
  if (parameters.length) form.append(make('div', { className: 'fields' }, ...parameters.map(createField)));
  const schema = operation.requestBody && operation.requestBody.content['application/json'].schema;
  if (schema) {
    form.append(make('label', {}, 'Body', make('small', { textContent: 'JSON' }),
      make('textarea', { name: 'body', spellcheck: false, value: formatJson(createSample(schema, document)) })),
      createSchemaBlock('Body schema', schema));
  }
  const shown = make('div', { className: 'answer', hidden: true });
  shown.setAttribute('aria-live', 'polite');
  shown.setAttribute('role', 'status');
  shown.setAttribute('aria-label', 'Response');
  form.append(make('div', {}, make('button', { type: 'submit', textContent: 'Send' })), shown, ...describeResponses(operation));
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    shown.hidden = false;
    void call(method, path, form, shown);
  });
  return form;
}

function createEntry(method, path, operation, document) {
  const details = make('details', {}, make('summary', {},
    make('span', { className: 'method', textContent: method }),
    make('span', { className: 'path', textContent: path }),
    make('span', { textContent: operation.summary || '' })));
  details.dataset.text = [method, path, operation.operationId, operation.summary].join(' ').toLowerCase();
  // Created on first open, so that a long list renders fast.
  details.addEventListener('toggle', () => {
    if (details.open && details.childElementCount === 1) details.append(createForm(method, path, operation, document));
  });
  return details;
}

function show(document) {
  byId('about').textContent = document.info.description + ' ' + document.info.license.name + ' licence.';
  const main = byId('operations');
  main.replaceChildren();
  main.removeAttribute('aria-live');
  for (const tag of document.tags) {
    const section = make('section', {}, make('h2', { textContent: tag.name }), make('p', { textContent: tag.description }));
    for (const [path, methods] of Object.entries(document.paths)) {
      for (const [method, operation] of Object.entries(methods)) {
        if (operation.tags.includes(tag.name)) section.append(createEntry(method.toUpperCase(), path, operation, document));
      }
    }
    main.append(section);
  }
}

byId('find').addEventListener('input', ({ target }) => {
  const wanted = target.value.trim().toLowerCase();
  for (const section of document.querySelectorAll('section')) {
    const entries = [...section.querySelectorAll(':scope > details')];
    for (const one of entries) one.hidden = !one.dataset.text.includes(wanted);
    section.hidden = entries.every((one) => one.hidden);
  }
});

fetch('/openapi.json')
  .then((response) => response.json())
  .then(show, (error) => { byId('operations').textContent = 'cannot load /openapi.json: ' + error.message; });
`;
