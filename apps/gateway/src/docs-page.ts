import { script } from './docs-script.ts';

export { script };

export const style = `
:root { color-scheme: light dark; --line: light-dark(#d8d3ca, #3b3f4a); --paper: light-dark(#fbfaf7, #16181d);
  --card: light-dark(#fff, #1e2128); --ink: light-dark(#22242a, #e9e7e2); --soft: light-dark(#5f626b, #a5a8b1);
  --accent: light-dark(#a3402a, #f0937c); --code: light-dark(#f3f0ea, #12141a) }
* { box-sizing: border-box }
body { margin: 0; background: var(--paper); color: var(--ink); font: 16px/1.5 system-ui, sans-serif }
main, header { max-width: 1080px; margin: 0 auto; padding: 16px }
header { display: grid; gap: 12px }
h1 { margin: 0; font-size: 1.5rem } h2 { margin: 32px 0 4px; font-size: 1.2rem } h3 { margin: 16px 0 6px; font-size: 1rem }
p { margin: 0 0 8px; color: var(--soft) }
label { display: grid; gap: 4px; font-size: .9rem; font-weight: 600 }
small { font-weight: 400; color: var(--soft) }
input, textarea, button { font: inherit; color: inherit; background: var(--card); border: 1px solid var(--line); border-radius: 6px; padding: 8px 10px; width: 100%; min-height: 44px }
textarea, pre, code, .path { font-family: ui-monospace, monospace; font-size: .875rem }
textarea { min-height: 10rem; resize: vertical }
button { width: auto; background: var(--accent); border-color: var(--accent); color: light-dark(#fff, #16181d); font-weight: 600; cursor: pointer; padding: 8px 20px }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px }
details { border: 1px solid var(--line); border-radius: 8px; background: var(--card); margin: 8px 0 }
details details { background: none }
summary { display: flex; flex-wrap: wrap; gap: 4px 10px; align-items: baseline; padding: 10px 14px; cursor: pointer; min-height: 44px }
summary > span:last-child { color: var(--soft) }
.method { font-weight: 700; min-width: 4.5em; color: var(--accent) }
.path { overflow-wrap: anywhere }
.inside { padding: 0 14px 14px; display: grid; gap: 12px; min-width: 0 }
.fields { display: grid; gap: 12px; grid-template-columns: repeat(auto-fill, minmax(min(100%, 260px), 1fr)) }
pre { margin: 0; padding: 12px; background: var(--code); border: 1px solid var(--line); border-radius: 6px; overflow: auto; max-height: 26rem; white-space: pre-wrap; overflow-wrap: anywhere }
ul { margin: 0; padding-left: 1.2em }
a { color: var(--accent) }
.links { list-style: none; padding: 0; margin-top: 16px }
.links li { padding: 10px 0; border-top: 1px solid var(--line) }
.links a { display: inline-block; min-width: 12em; font-weight: 600 }
.answer { display: grid; gap: 8px; min-width: 0 }
.answer[hidden] { display: none }
.status { margin: 0; color: var(--ink); font-weight: 600; overflow-wrap: anywhere }
`;

/** A self-contained page: it works without internet access. */
export const page = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Jogakbo API</title>
<link rel="icon" href="data:,">
<style>${style}</style>
</head>
<body>
<header>
<h1>Jogakbo API</h1>
<p id="about"></p>
<label>Find <small>method, path or name</small><input id="find" type="search" autocomplete="off"></label>
<label>Access token <small id="token-hint">sign in below, or paste a token; it is kept until this tab is closed or reloaded</small><input id="token" type="password" autocomplete="off" spellcheck="false"></label>
</header>
<main id="operations" aria-live="polite"><p>Loading /openapi.json …</p></main>
<noscript><p>This page needs JavaScript; the document itself is at /openapi.json.</p></noscript>
<script>${script}</script>
</body>
</html>
`;
