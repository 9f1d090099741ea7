import { html, join, type Html } from '../../kernel/html.js';
import { renderMarkdown } from './markdown.js';
import type { Runbook } from './shelf.js';

/** What to do about one thing, to be read by somebody who was asleep a minute ago. */
export function renderRunbook(page: Runbook, pages: ReadonlySet<string>): string {
  const about = [
    ...page.alerts.map((name) => html`alert <code>${name}</code>`),
    ...(page.signal === null || page.alerts.includes(page.signal) ? [] : [html`signal <code>${page.signal}</code>`]),
    ...(page.code === null ? [] : [html`error <code>${page.code}</code>`]),
  ];
  const firstLook = page.firstLook.startsWith('npx ') ? html`<code>${page.firstLook}</code>` : html`${page.firstLook}`;
  return shell(
    page.title,
    html`<header>
        <p class="mark"><a href="/runbooks">Plumbline runbooks</a></p>
        <h1>${page.title}</h1>
        <p class="grave">${page.severity}</p>
        <dl>
          <div>
            <dt>First look</dt>
            <dd>${firstLook}</dd>
          </div>
          ${
            page.commands.length === 0
              ? html``
              : html`<div>
                  <dt>Commands</dt>
                  <dd>${join(page.commands.map((line) => html`<span class="line"><code>${line}</code></span>`))}</dd>
                </div>`
          }
          <div>
            <dt>Told as</dt>
            <dd>${join(about.map((one, index) => html`${index === 0 ? '' : ', '}${one}`))}</dd>
          </div>
        </dl>
      </header>
      <main>${renderMarkdown(page.body, pages)}</main>`,
  );
}

/** All of them, what wakes people first. */
export function renderRunbookIndex(shelf: readonly Runbook[]): string {
  const listOf = (pages: readonly Runbook[]): Html =>
    html`<ul class="index">
      ${join(
        pages.map(
          ({ name, title, severity }) =>
            html`<li><a href="/runbooks/${name}">${title}</a><small>${severity}</small></li> `,
        ),
      )}
    </ul>`;
  return shell(
    'Runbooks',
    html`<header>
        <p class="mark">Plumbline</p>
        <h1>Runbooks</h1>
        <p>
          What to do when it says that something is wrong. Each page begins with what it means for orders, because that
          decides how fast you must be. In the commands, replace SHOP, ORDER, NAME and ID by what
          <code>npx plumbline signals</code> says.
        </p>
      </header>
      <main>
        <h2 id="alerts">What alerts tell of</h2>
        ${listOf(shelf.filter(({ code }) => code === null))}
        <h2 id="errors">Why the service does not start, or works with less</h2>
        ${listOf(shelf.filter(({ code }) => code !== null))}
      </main>`,
  );
}

function shell(title: string, body: Html): string {
  return html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta name="robots" content="noindex" />
        <title>${title} - Plumbline</title>
        <link rel="stylesheet" href="/runbooks/style.css" />
      </head>
      <body>
        ${body}
        <footer>
          <p>
            The commands assume the working directory of the service and its usual addresses. PLUMBLINE_URL names
            another service, PLUMBLINE_TOKEN the way in.
          </p>
        </footer>
      </body>
    </html> `.text;
}

/** Readable at 360 px, in the dark, by somebody who is tired: large text, much room, one accent. Contrast at least 4.5:1. */
export const RUNBOOK_STYLE = `
:root {
  --paper: #fbfaf7; --ink: #1d1c1a; --quiet: #5d5a53; --line: #dedad0; --accent: #855200; --tint: #f1eee6;
  color-scheme: light dark;
}
@media (prefers-color-scheme: dark) {
  :root { --paper: #171614; --ink: #ece9e2; --quiet: #a8a399; --line: #37342f; --accent: #e2b463; --tint: #24221f; }
}
* { box-sizing: border-box; }
body {
  margin: 0 auto; padding: clamp(1.25rem, 4vw, 3rem) clamp(1rem, 4vw, 2rem); max-width: 46rem;
  background: var(--paper); color: var(--ink);
  font: 1.05rem/1.6 ui-sans-serif, system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", sans-serif;
}
.mark { margin: 0; font-weight: 600; color: var(--accent); }
h1 { margin: 0.15rem 0 0.6rem; font-size: clamp(1.5rem, 5.5vw, 2.2rem); line-height: 1.2; text-wrap: balance; }
h2 { margin: 2.25rem 0 0.5rem; font-size: 1.2rem; }
p, ul, ol { margin: 0.6rem 0; }
ul, ol { padding-left: 1.4rem; }
li { margin: 0.45rem 0; }
a { color: var(--accent); text-underline-offset: 0.2em; overflow-wrap: anywhere; }
a:focus-visible, [tabindex]:focus-visible { outline: 2px solid var(--accent); outline-offset: 3px; border-radius: 2px; }
.grave { margin: 0 0 1rem; padding-left: 0.9rem; border-left: 3px solid var(--accent); font-size: 1.1rem; }
.grave::first-letter { text-transform: uppercase; }
dl { margin: 0; border-top: 1px solid var(--line); }
dl div { display: grid; grid-template-columns: 7rem minmax(0, 1fr); gap: 0.25rem 1rem; padding: 0.5rem 0; border-bottom: 1px solid var(--line); }
dt, footer, small { color: var(--quiet); }
dd { margin: 0; }
code { font: 0.92em ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; overflow-wrap: anywhere; background: var(--tint); padding: 0.1em 0.3em; border-radius: 3px; }
.line { display: block; }
main { margin-top: 1.5rem; }
pre { margin: 0.75rem 0; padding: 0.75rem 0.9rem; background: var(--tint); border-radius: 4px; white-space: pre-wrap; }
pre code { padding: 0; background: none; }
td code, th code { overflow-wrap: normal; white-space: nowrap; }
td:last-child { min-width: 12rem; }
.wide { overflow-x: auto; margin: 0.75rem 0; }
table { border-collapse: collapse; min-width: 100%; }
th, td { padding: 0.45rem 0.9rem 0.45rem 0; border-bottom: 1px solid var(--line); text-align: left; vertical-align: top; }
th { color: var(--quiet); font-weight: 400; }
.index { list-style: none; padding: 0; }
.index li { padding: 0.55rem 0; margin: 0; border-bottom: 1px solid var(--line); }
.index small { display: block; }
footer { margin-top: 3rem; font-size: 0.9rem; }
@media (max-width: 30rem) { dl div { grid-template-columns: 1fr; } }
`;
