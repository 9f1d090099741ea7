/**
 * The start page's style sheet: text first, one accent (the brass of the bob), red only for what is broken.
 * Contrast of every pair is at least 4.5:1 in both schemes; everything fits 360 px.
 */
export const START_PAGE_STYLE = `
:root {
  --paper: #fbfaf7; --ink: #1d1c1a; --quiet: #5d5a53; --line: #dedad0; --accent: #855200; --broken: #a3201a;
  color-scheme: light dark;
}
@media (prefers-color-scheme: dark) {
  :root { --paper: #171614; --ink: #ece9e2; --quiet: #a8a399; --line: #37342f; --accent: #e2b463; --broken: #ff9a8f; }
}
* { box-sizing: border-box; }
body {
  margin: 0 auto; padding: clamp(1.25rem, 4vw, 3.5rem) clamp(1rem, 4vw, 2rem); max-width: 46rem;
  background: var(--paper); color: var(--ink);
  font: 1rem/1.55 ui-sans-serif, system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", sans-serif;
}
header { display: flex; gap: 1.25rem; align-items: flex-start; }
header svg { flex: none; margin-top: -3.5rem; height: 8.5rem; width: 1.75rem; overflow: visible; }
header path { stroke: var(--quiet); stroke-width: 1; fill: none; }
header .bob { fill: var(--accent); stroke: none; }
.mark { margin: 0; color: var(--accent); font-weight: 600; letter-spacing: 0.02em; }
h1 { margin: 0.15rem 0 0.4rem; font-size: clamp(1.6rem, 5.5vw, 2.4rem); line-height: 1.15; font-weight: 600; letter-spacing: -0.015em; text-wrap: balance; }
h2 { margin: 2.75rem 0 0.75rem; font-size: 1.05rem; font-weight: 600; }
.quiet, footer, caption, small { color: var(--quiet); }
p { margin: 0.25rem 0; }
a { color: var(--accent); text-underline-offset: 0.2em; overflow-wrap: anywhere; }
a:focus-visible { outline: 2px solid var(--accent); outline-offset: 3px; border-radius: 2px; }
code { font: 0.9em ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; overflow-wrap: anywhere; }
.notices { margin: 1.75rem 0 0; padding: 0.1rem 0 0.1rem 1rem; border-left: 3px solid var(--broken); list-style: none; }
.notices li { margin: 0.5rem 0; }
.figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(8.25rem, 1fr)); gap: 1.25rem 1.5rem; margin: 0 0 1rem; }
.figures div { display: flex; flex-direction: column-reverse; justify-content: flex-end; }
.figures dt { color: var(--quiet); font-size: 0.9rem; }
.figures dd { margin: 0; font-size: 1.75rem; line-height: 1.2; font-variant-numeric: tabular-nums; }
.places { margin: 0; border-top: 1px solid var(--line); }
.places div { display: grid; grid-template-columns: minmax(0, 2fr) minmax(0, 3fr); gap: 0.25rem 1.5rem; padding: 0.55rem 0; border-bottom: 1px solid var(--line); }
.places dt { color: var(--quiet); }
.places dd { margin: 0; }
table { width: 100%; border-collapse: collapse; }
caption { text-align: left; padding-bottom: 0.35rem; font-size: 0.9rem; }
th, td { padding: 0.55rem 0.75rem 0.55rem 0; border-bottom: 1px solid var(--line); text-align: left; vertical-align: top; font-weight: 400; }
thead th { color: var(--quiet); font-size: 0.9rem; }
th:last-child, td:last-child { padding-right: 0; }
.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
.ok span { color: var(--accent); }
.dead td, .failing td { color: var(--broken); }
.dead small, .failing small { color: inherit; }
.hidden { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
footer { margin-top: 3rem; font-size: 0.9rem; max-width: 38rem; }
@media (max-width: 30rem) {
  header { gap: 0.9rem; }
  .places div { grid-template-columns: 1fr; }
}
`;
