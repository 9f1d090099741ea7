import { TOPICS } from '../shopify/lifecycle.js';
import type { Line, State } from './view.js';

interface Press {
  /** `kind value`, as the button sends it */
  press: string;
  label: string;
  effect: string;
}

interface Group {
  title: string;
  /** Which choice stands above the buttons. */
  choice: 'store' | 'store-and-topic' | 'destination' | 'reports' | 'none';
  /** Only where somebody is told. */
  ofTold?: true;
  presses: readonly Press[];
}

const GROUPS: readonly Group[] = [
  {
    title: 'Webhooks from Shopify',
    choice: 'store',
    presses: [
      {
        press: 'drop 0.1',
        label: 'Lose 10 %',
        effect: 'Shopify never sends them and tells nobody. Only a comparison finds them.',
      },
      { press: 'drop 1', label: 'Lose all', effect: 'Silence, while the store goes on selling.' },
      { press: 'duplicate 0.3', label: 'Send 30 % twice', effect: 'The same webhook id again: one effect is right.' },
      {
        press: 'repeat 0.3',
        label: 'Tell 30 % again',
        effect: 'Another webhook id, the same fact: one effect is right.',
      },
      {
        press: 'reorder 0.3',
        label: 'Mix up 30 %',
        effect: 'Held back some seconds, so that newer ones overtake them.',
      },
      { press: 'delay 30', label: 'Late by 30 s', effect: 'Every webhook arrives half a minute after the fact.' },
      { press: 'oversize 0.2', label: 'Cut 20 % to an id', effect: 'The body holds an id only and means: fetch it.' },
      {
        press: 'old-secret 60',
        label: 'Old secret',
        effect: 'For a minute signed with the secret before this one, as after a rotation.',
      },
    ],
  },
  {
    title: 'Subscriptions',
    choice: 'store-and-topic',
    presses: [
      {
        press: 'remove-subscription',
        label: 'Remove subscription',
        effect: 'What broke in 2019: nothing more is sent for the topic. A mail says so.',
      },
      {
        press: 'forged-mail',
        label: 'Forge a mail',
        effect: 'Somebody writes that it was removed, and cannot sign as Shopify: no effect is right.',
      },
      {
        press: 'uninstall',
        label: 'Uninstall the app',
        effect: 'app/uninstalled is sent, then every subscription is gone and the token is dead.',
      },
      {
        press: 'reinstall',
        label: 'Install it again',
        effect: 'The token works again; there is no subscription yet.',
      },
    ],
  },
  {
    title: 'Destinations',
    choice: 'destination',
    presses: [
      { press: 'destination down', label: 'Take down', effect: 'Answers 503. Orders must wait, not vanish.' },
      {
        press: 'destination slow',
        label: 'Slow down',
        effect: 'Three seconds per answer. Neighbours must not notice.',
      },
      { press: 'destination throttling', label: 'Refuse with 429', effect: 'Asks to come back later.' },
      {
        press: 'destination losing',
        label: 'Accept and lose',
        effect: 'Answers 2xx and keeps nothing: accepted is not received.',
      },
      { press: 'destination cutting', label: 'Keep and hang up', effect: 'It took effect, but no answer tells.' },
      { press: 'destination calm', label: 'Make well', effect: 'Takes everything again.' },
    ],
  },
  {
    title: 'Reports of destinations',
    choice: 'reports',
    presses: [
      { press: 'reports down', label: 'Reports down', effect: 'Answers 503 to who asks: unknown, not missing.' },
      { press: 'reports quota', label: 'Out of quota', effect: 'Answers 429: what arrived cannot be proved now.' },
      { press: 'reports calm', label: 'Reports work', effect: 'Tells again what it received.' },
    ],
  },
  {
    title: 'PagerDuty',
    choice: 'none',
    ofTold: true,
    presses: [
      {
        press: 'pager down',
        label: 'Take down',
        effect: 'No connection. The second channel must tell within a minute.',
      },
      { press: 'pager hanging', label: 'Let it hang', effect: 'Takes connections and never answers.' },
      { press: 'pager failing', label: 'Fail with 500', effect: 'Every event fails; none may be given up.' },
      { press: 'pager throttling', label: 'Throttle (429)', effect: 'As past 120 events a minute: come back later.' },
      {
        press: 'pager unheard',
        label: 'Say 202, page nobody',
        effect: 'It has taken the event, and no incident comes of it.',
      },
      {
        press: 'pager losing',
        label: 'Cut off answers',
        effect: 'It has effect and nobody hears so: sent again, paged once.',
      },
      { press: 'pager calm', label: 'Works', effect: 'Takes events and pages again.' },
    ],
  },
  {
    title: 'People',
    choice: 'none',
    ofTold: true,
    presses: [
      { press: 'on-call nobody', label: 'Empty the rota', effect: 'Incidents are made, and wake nobody.' },
      { press: 'on-call somebody', label: 'Somebody is on call', effect: 'As it should be.' },
      { press: 'mail down', label: 'Mail server down', effect: 'The second channel is gone as well.' },
      { press: 'mail calm', label: 'Mail server works', effect: 'Takes mails again.' },
    ],
  },
  {
    title: 'Volume',
    choice: 'store',
    presses: [
      { press: 'flood 20', label: 'Flash sale', effect: 'The store sells twenty times as fast.' },
      { press: 'flood 1', label: 'Usual rate', effect: 'Ends the flash sale.' },
      { press: 'flood 0', label: 'Stop selling', effect: 'Nobody buys here. Silence is then right.' },
    ],
  },
  {
    title: 'Shopify’s Admin API',
    choice: 'none',
    presses: [
      { press: 'admin unavailable', label: 'Outage (503)', effect: 'Comparison is blind: unknown, not lost.' },
      { press: 'admin throttled', label: 'Throttle', effect: 'Every query is asked to wait.' },
      { press: 'admin frozen', label: 'Frozen shops (402)', effect: 'As for a shop that does not pay its bill.' },
      {
        press: 'admin refusing-writes',
        label: 'Refuse changes',
        effect: 'Lists subscriptions and refuses to make, change or delete one.',
      },
      { press: 'admin none', label: 'Works', effect: 'Answers again.' },
    ],
  },
];

const STORE_FIGURES = [
  ['sold', 'Orders sold'],
  ['sent', 'Webhooks sent'],
  ['answered', 'Answered 2xx'],
  ['failed', 'Failed attempts'],
  ['retried', 'Retries'],
  ['dropped', 'Lost on purpose'],
  ['unheard', 'Without subscription'],
  ['p50', 'Answer time p50'],
  ['p99', 'Answer time p99'],
] as const;

const DESTINATION_FIGURES = [
  ['received', 'Events received'],
  ['distinct', 'Different ones'],
  ['repeats', 'Repeats'],
  ['lost', 'Lost on purpose'],
] as const;

/** The control page, complete without its script; the script only keeps it fresh and saves the reload. */
export function page(state: State, serviceUrl: string): string {
  const text = (key: string, element = 'span') =>
    `<${element} data-text="${key}">${escape(state.view.texts[key] ?? '')}</${element}>`;
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Plumbline sandbox</title>
<link rel="icon" href="/icon.svg" type="image/svg+xml">
<link rel="stylesheet" href="/page.css">
<script src="/page.js" defer></script>
</head>
<body>
<header>
  <h1>Plumbline sandbox</h1>
  <p class="note">Nothing here is real: the stores, the buyers and the destinations are pretended on this machine.
    The service under test is at <a href="${escape(serviceUrl)}">${escape(serviceUrl)}</a>.</p>
  <div class="bar">
    <p>The stores are <strong>${text('selling')}</strong> and sell ${text('rate')} orders per second together.</p>
    <form method="post" action="/control/start"><button>Open the stores</button></form>
    <form method="post" action="/control/stop"><button>Close the stores</button></form>
    <form method="post" action="/control/trouble"><button class="calm" name="press" value="calm">Calm: end all trouble</button></form>
  </div>
  <nav aria-label="On this page"><ul>
    <li><a href="#truth">The truth</a></li>${state.tells ? '<li><a href="#told">Who was told</a></li>' : ''}<li><a href="#stores">Stores</a></li>
    <li><a href="#trouble">Make trouble</a></li><li><a href="#done">What was done</a></li>
  </ul></nav>
</header>
<main>
<section id="truth" tabindex="-1" aria-labelledby="truth-title">
  <h2 id="truth-title">The truth</h2>
  <p class="verdict" role="status" aria-live="polite">${text('verdict')}</p>
  <p>Sold ${text('sold', 'b')} orders; ${text('due', 'b')} of them count as purchases (paid or free, no tests).</p>
  <div class="cards">${state.destinations.map((destination, index) => destinationCard(destination.name, destination.url, `destinations.${index}`, state, text)).join('')}
  </div>
  <p class="quiet">The warehouse is a database, not HTTP: it is not watched here. Ask the service.</p>
</section>
${state.tells ? toldSection(state, serviceUrl, text) : ''}<section id="stores" tabindex="-1" aria-labelledby="stores-title">
  <h2 id="stores-title">Stores</h2>
  <div class="cards">${state.stores.map((store, index) => storeCard(store, `stores.${index}`, state, text)).join('')}
  </div>
  <p class="quiet">Webhooks under way: ${text('sender.underWay')}. Waiting for a retry: ${text('sender.waiting')}.
    Mails Shopify would have sent: ${text('sender.mails')}. ${text('admin')}</p>
</section>
<section id="trouble" aria-labelledby="trouble-title" tabindex="-1">
  <h2 id="trouble-title">Make trouble</h2>
  <h3>Trouble now</h3>
  ${list('active', state)}
  <div class="groups">${GROUPS.filter(({ ofTold = false }) => !ofTold || state.tells)
    .map((group, index) => groupForm(group, index, state))
    .join('')}
  </div>
</section>
<section id="done" tabindex="-1" class="columns" aria-label="What was done">
  <div><h2>What was done</h2>${list('log', state)}</div>
  <div><h2>Subscriptions removed</h2>${list('removals', state, 'None so far.')}</div>
</section>
</main>
</body>
</html>
`;
}

type Text = (key: string, element?: string) => string;

/** Who was paged by what, and what the public sees beside what is true. */
function toldSection(state: State, serviceUrl: string, text: Text): string {
  return `<section id="told" tabindex="-1" aria-labelledby="told-title">
  <h2 id="told-title">Who was told</h2>
  <div class="beside">
    <article><h3>What is true</h3><p class="said">${text('told.truth')}</p>
      <p class="quiet">The sandbox knows each order; the service has to find out.</p></article>
    <article><h3>What the public sees</h3><p class="said">${text('told.public')}</p>
      ${list('told.components', state)}
      ${list('told.incidentsPublic', state)}
      <p><a href="${escape(serviceUrl)}/status">The public page</a></p></article>
  </div>
  <form method="post" action="/control/incident" class="pages" aria-label="Incidents at PagerDuty">
    <h3>At PagerDuty <small>${text('told.count')}</small></h3>
    <p>${text('told.pager')}</p>
    ${list('told.incidents', state, 'Nobody was paged so far.')}
  </form>
  <div class="columns">
    <div><h3>Mails of the second channel <small>${text('told.mails')}</small></h3><p class="quiet">${text('told.mailServer')}</p>${list('told.mails', state, 'None so far.')}</div>
    <div><h3>Heartbeat</h3><p>${text('told.heartbeat')}</p>
      <h3>What the public page has said</h3>${list('told.said', state, 'Nothing so far.')}</div>
  </div>
</section>
`;
}

function figures(pairs: readonly (readonly [string, string])[], at: string, text: Text): string {
  return `<dl>${pairs.map(([key, label]) => `<div><dt>${label}</dt>${text(`${at}.${key}`, 'dd')}</div>`).join('')}</dl>`;
}

function destinationCard(name: string, url: string, at: string, state: State, text: Text): string {
  const bar = state.view.bars[`${at}.bar`] ?? { value: 0, max: 1 };
  return `
  <article>
    <h3>${escape(name)} <small>is ${text(`${at}.mode`)}</small></h3>
    <p class="quiet">${escape(url)}</p>
    <progress data-bar="${at}.bar" value="${bar.value}" max="${bar.max}" aria-label="Share of purchases that arrived at ${escape(name)}"></progress>
    <p>${text(`${at}.arrived`, 'b')} of ${text('due')} purchases arrived, ${text(`${at}.young`)} younger than 10 s
      on their way, ${text(`${at}.missing`, 'b')} missing.</p>
    <p>${text(`${at}.reports`)}</p>
    ${figures(DESTINATION_FIGURES, at, text)}
  </article>`;
}

function storeCard(store: State['stores'][number], at: string, state: State, text: Text): string {
  return `
  <article>
    <h3>${escape(store.name)}</h3>
    <p class="quiet">${escape(store.domain)} · ${escape(store.currency)} · ${escape(store.timeZone)}</p>
    ${figures(STORE_FIGURES, at, text)}
    <p>${text(`${at}.subscriptions`)}</p>
    ${list(`${at}.topics`, state)}
  </article>`;
}

function list(key: string, state: State, empty = ''): string {
  const lines = state.view.lists[key] ?? [];
  const items = lines.map(item).join('');
  return `<ul data-list="${key}" data-empty="${escape(empty)}">${items || (empty && `<li class="plain">${escape(empty)}</li>`)}</ul>`;
}

/** As the script makes it too. */
function item({ text, tone, badges = [], detail, presses = [] }: Line): string {
  if (badges.length === 0 && detail === undefined && presses.length === 0) {
    return `<li class="${tone}">${escape(text)}</li>`;
  }
  const marks = badges.map((badge) => `<span class="badge">${escape(badge)}</span>`).join('');
  const buttons = presses.map(
    ({ press, label }) =>
      `<button name="press" value="${escape(press)}" aria-label="${escape(`${label}: ${text}`)}">${escape(label)}</button>`,
  );
  return `<li class="rich ${tone}"><div>${marks}<span class="words">${escape(text)}</span>${
    detail ? `<span class="detail">${escape(detail)}</span>` : ''
  }</div>${buttons.length > 0 ? `<div class="acts">${buttons.join('')}</div>` : ''}</li>`;
}

function groupForm({ title, choice, presses }: Group, index: number, state: State): string {
  const choices = {
    store: select('store', 'Store', ['all', ...state.stores.map(({ domain }) => domain)], index),
    'store-and-topic':
      select('store', 'Store', ['all', ...state.stores.map(({ domain }) => domain)], index) +
      select('topic', 'Topic', ['all', ...TOPICS], index),
    destination: select('destination', 'Destination', ['all', ...namesOf(state)], index),
    reports: select('destination', 'Destination', ['all', ...namesOf(state, ({ reports }) => reports !== null)], index),
    none: '',
  };
  const buttons = presses.map(({ press, label, effect }, row) => {
    const id = `effect-${index}-${row}`;
    return `<li><button name="press" value="${press}" aria-describedby="${id}">${label}</button><p id="${id}">${effect}</p></li>`;
  });
  return `
  <form method="post" action="/control/trouble">
    <fieldset><legend>${title}</legend>${choices[choice]}<ul class="presses">${buttons.join('')}</ul></fieldset>
  </form>`;
}

function namesOf(state: State, isMeant: (one: State['destinations'][number]) => boolean = () => true): string[] {
  return state.destinations.filter(isMeant).map(({ name }) => name);
}

function select(name: string, label: string, options: readonly string[], index: number): string {
  const id = `${name}-${index}`;
  const items = options.map(
    (option) => `<option value="${escape(option)}">${escape(option === 'all' ? 'all of them' : option)}</option>`,
  );
  return `<label for="${id}">${label}</label><select id="${id}" name="${name}">${items.join('')}</select>`;
}

const ENTITIES: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };

export function escape(text: string): string {
  return text.replace(/[&<>"']/g, (character) => ENTITIES[character] ?? character);
}
