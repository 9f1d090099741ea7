/** The page's style and script as files of their own: the strict policy of the page allows nothing inline. */
export const STYLE = `
:root {
  color-scheme: light dark;
  --ground: #f5f6f4; --card: #ffffff; --ink: #1c2321; --quiet: #55605c; --line: #d3d9d5;
  --brass: #7a5312; --brass-ink: #ffffff; --good: #17643b; --bad: #a3241c; --focus: #0b5cad; --press: #eef1ee;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ground: #141917; --card: #1d2421; --ink: #e8ece9; --quiet: #a5b0ab; --line: #3a4540;
    --brass: #e0b463; --brass-ink: #1d1606; --good: #7fd3a0; --bad: #ff9f94; --focus: #8cc2ff; --press: #28312d;
  }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--ground); color: var(--ink); font: 16px/1.5 system-ui, sans-serif; }
header, main { max-width: 76rem; margin: 0 auto; padding: 1rem; }
header { padding-bottom: 0; }
h1, h2, h3, p, ul, dl, dd { margin: 0; }
h1 { font-size: 1.6rem; letter-spacing: -0.01em; }
h2 { font-size: 1.25rem; margin: 1.75rem 0 0.5rem; }
h3 { font-size: 1.05rem; }
small { font-weight: 400; font-size: 0.9rem; }
ul { padding: 0; list-style: none; }
a { color: inherit; }
.note { color: var(--quiet); max-width: 60rem; }
.quiet { color: var(--quiet); font-size: 0.9rem; overflow-wrap: anywhere; }
.bar { display: flex; flex-wrap: wrap; gap: 0.5rem 0.75rem; align-items: center; margin-top: 0.75rem; }
.bar p { flex: 1 1 22rem; }
.verdict { font-size: 1.15rem; font-weight: 600; padding: 0.6rem 0.9rem; margin-bottom: 0.5rem; background: var(--card);
  border-left: 4px solid var(--brass); border-radius: 4px; }
.cards, .columns { display: grid; gap: 1rem; grid-template-columns: repeat(auto-fit, minmax(min(100%, 20rem), 1fr)); }
.cards { margin: 0.75rem 0; }
.groups { columns: 21rem 3; column-gap: 1rem; margin: 0.75rem 0; }
.groups form { break-inside: avoid; padding-bottom: 1rem; }
nav ul { display: flex; flex-wrap: wrap; gap: 0 1.25rem; margin-top: 0.5rem; }
nav a { display: inline-block; padding: 0.4rem 0; }
article, fieldset { background: var(--card); border: 1px solid var(--line); border-radius: 8px; padding: 1rem; margin: 0; min-width: 0; }
article > * + * { margin-top: 0.5rem; }
article h3 + .quiet { margin-top: 0; }
dl { display: grid; grid-template-columns: repeat(auto-fill, minmax(8rem, 1fr)); gap: 0.5rem 1rem; }
dt { color: var(--quiet); font-size: 0.85rem; }
dd { font-weight: 600; font-variant-numeric: tabular-nums; }
b, [data-text] { font-variant-numeric: tabular-nums; }
progress { display: block; width: 100%; height: 0.6rem; appearance: none; border: 0; border-radius: 4px; overflow: hidden; background: var(--line); accent-color: var(--good); }
progress::-webkit-progress-bar { background: var(--line); }
progress::-webkit-progress-value { background: var(--good); }
progress::-moz-progress-bar { background: var(--good); }
li.bad { color: var(--bad); }
li.good { color: var(--good); }
article li { display: inline-block; font-size: 0.85rem; border: 1px solid var(--line); border-radius: 99px; padding: 0 0.6rem; margin: 0 0.3rem 0.3rem 0; }
article li.bad { border-color: var(--bad); font-weight: 600; }
.beside { display: grid; gap: 1rem; grid-template-columns: repeat(auto-fit, minmax(min(100%, 20rem), 1fr)); margin: 0.75rem 0; }
.said { font-size: 1.1rem; font-weight: 600; overflow-wrap: anywhere; }
.pages { background: var(--card); border: 1px solid var(--line); border-radius: 8px; padding: 1rem; margin: 0 0 1rem; }
.columns h3 + ul, .columns p + h3 { margin-top: 0.75rem; }
li.rich { display: flex; flex-wrap: wrap; gap: 0.5rem 1rem; align-items: center; justify-content: space-between; padding: 0.6rem 0 0.6rem 0.75rem; border-top: 1px solid var(--line); border-left: 4px solid var(--line); color: var(--ink); }
li.rich.bad { border-left-color: var(--bad); }
li.rich.good { border-left-color: var(--good); }
.pages li.rich { margin-top: 0.5rem; border-top: 0; }
.rich > div:first-child { flex: 1 1 16rem; min-width: 0; overflow-wrap: anywhere; }
.words { display: block; font-weight: 600; }
.detail { display: block; color: var(--quiet); font-size: 0.85rem; font-variant-numeric: tabular-nums; }
.badge { display: inline-block; font-size: 0.8rem; font-weight: 600; border: 1px solid var(--line); border-radius: 99px; padding: 0 0.6rem; margin: 0 0.35rem 0.2rem 0; background: var(--press); color: var(--ink); }
.acts { display: flex; gap: 0.5rem; }
.columns ul { font-size: 0.9rem; font-variant-numeric: tabular-nums; overflow-wrap: anywhere; }
.columns li { padding: 0.3rem 0; border-top: 1px solid var(--line); }
legend { font-weight: 600; padding: 0 0.35rem; margin-left: -0.35rem; }
label { display: block; font-size: 0.9rem; color: var(--quiet); }
select { width: 100%; margin-bottom: 0.5rem; }
select, button { font: inherit; min-height: 2.5rem; border-radius: 6px; border: 1px solid var(--quiet); background: var(--press); color: var(--ink); padding: 0.25rem 0.75rem; }
button { cursor: pointer; font-weight: 600; }
button:hover { border-color: var(--ink); }
button.calm { background: var(--brass); color: var(--brass-ink); border-color: var(--brass); }
:focus-visible { outline: 3px solid var(--focus); outline-offset: 2px; }
.presses li { display: grid; grid-template-columns: minmax(8rem, 10rem) 1fr; gap: 0.25rem 0.75rem; align-items: center; padding: 0.35rem 0; }
.presses p { font-size: 0.9rem; color: var(--quiet); }
@media (max-width: 30rem) { .presses li { grid-template-columns: 1fr; } .bar form, .bar button { width: 100%; } }
`;

export const SCRIPT = `'use strict';
const REFRESH_MS = 1000;
let isLost = false;

function show({ view }) {
  for (const element of document.querySelectorAll('[data-text]')) {
    const text = view.texts[element.dataset.text];
    if (text !== undefined && element.textContent !== text) element.textContent = text;
  }
  for (const element of document.querySelectorAll('[data-bar]')) {
    const bar = view.bars[element.dataset.bar];
    if (bar) Object.assign(element, bar);
  }
  for (const element of document.querySelectorAll('[data-list]')) showList(element, view.lists[element.dataset.list]);
}

function showList(element, given) {
  const empty = element.dataset.empty;
  const lines = given.length === 0 && empty ? [{ text: empty, tone: 'plain' }] : given;
  const now = JSON.stringify(lines);
  if (element.shown === now) return;
  element.shown = now;
  const pressed = document.activeElement?.value;
  element.replaceChildren(...lines.map(itemOf));
  // A list that is written anew must not take the focus away from whoever works by keyboard.
  if (pressed) [...element.querySelectorAll('button')].find(({ value }) => value === pressed)?.focus();
}

function make(name, className, text) {
  const element = document.createElement(name);
  if (className) element.className = className;
  if (text) element.textContent = text;
  return element;
}

function itemOf({ text, tone, badges = [], detail, presses = [] }) {
  if (badges.length === 0 && detail === undefined && presses.length === 0) return make('li', tone, text);
  const item = make('li', 'rich ' + tone);
  const words = make('div');
  words.append(...badges.map((badge) => make('span', 'badge', badge)), make('span', 'words', text));
  if (detail) words.append(make('span', 'detail', detail));
  item.append(words);
  if (presses.length === 0) return item;
  const acts = make('div', 'acts');
  acts.append(...presses.map(({ press, label }) => {
    const button = make('button', '', label);
    Object.assign(button, { name: 'press', value: press });
    button.setAttribute('aria-label', label + ': ' + text);
    return button;
  }));
  item.append(acts);
  return item;
}

async function refresh() {
  try {
    const response = await fetch('/control/state', { signal: AbortSignal.timeout(5000) });
    show(await response.json());
    isLost = false;
  } catch {
    if (!isLost) document.querySelector('[data-text="verdict"]').textContent = 'The sandbox does not answer: these figures are old.';
    isLost = true;
  }
}

async function live() {
  for (;;) {
    if (!document.hidden) await refresh();
    await new Promise((resolve) => setTimeout(resolve, REFRESH_MS));
  }
}

document.addEventListener('submit', async (event) => {
  event.preventDefault();
  const form = new FormData(event.target, event.submitter);
  const body = new URLSearchParams(form);
  await fetch(event.target.action, { method: 'POST', body, redirect: 'manual' }).catch(() => undefined);
  await refresh();
});

void live();
`;

/** A plumb line. */
export const ICON = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><path d="M16 2v14" stroke="#888" stroke-width="2"/><path d="M9 15h14l-4 9-3 6-3-6z" fill="#b8862f"/></svg>`;
