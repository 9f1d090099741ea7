import { html, join, type Html } from '../kernel/html.js';
import type { PublicState } from './contract.js';
import { IMPACT_WORDS, INCIDENT_STATE_WORDS, nextUpdateWords, orderFacts, spanOf } from './incident-words.js';
import type { Links } from './links.js';
import type { Look } from './look.js';
import { fullInstantWords, instantWords, spanWords } from './public-words.js';
import { PUBLICATION_LIMIT_MS } from './shown.js';
import type { SnapshotIncident } from './snapshot.js';

/** Of an exported copy: it cannot know how late it is read, so it says when it was written and how long it may be believed. */
export interface CopyStamp {
  writtenAtMs: number;
}

/** A form for each state, because not everybody sees its colour. */
const SHAPES: Readonly<Record<PublicState, Html>> = {
  operational: html`<circle cx="10" cy="10" r="9" /><path class="mark" d="M5.5 10.5l3 3 6-7" />`,
  under_maintenance: html`<rect x="1.5" y="1.5" width="17" height="17" rx="3" /><path
      class="mark"
      d="M6 7h8M6 13h8"
    />`,
  degraded_performance: html`<path d="M10 1l9.2 17H.8z" /><path class="mark" d="M10 7v5.4M10 15v.4" />`,
  unknown: html`<circle class="hollow" cx="10" cy="10" r="8" /><path
      class="ink"
      d="M7.6 8a2.4 2.4 0 1 1 3.6 2.1c-.8.4-1.2.9-1.2 1.8M10 14.4v.3"
    />`,
  partial_outage: html`<path d="M10 .6L19.4 10 10 19.4.6 10z" /><path class="mark" d="M10 6v5M10 13.8v.3" />`,
  major_outage: html`<path d="M6.2.8h7.6l5.4 5.4v7.6l-5.4 5.4H6.2L.8 13.8V6.2z" /><path
      class="mark"
      d="M6.8 6.8l6.4 6.4M13.2 6.8l-6.4 6.4"
    />`,
};

export function icon(state: PublicState): Html {
  return html`<svg
    class="icon ${state}"
    viewBox="0 0 20 20"
    width="20"
    height="20"
    aria-hidden="true"
    focusable="false"
  >
    ${SHAPES[state]}
  </svg>`;
}

export function time(ms: number, words: string): Html {
  return html`<time datetime="${new Date(ms).toISOString()}">${words}</time>`;
}

export function pageOf(look: Look, links: Links, given: { title: string; main: Html; copy: CopyStamp | null }): string {
  const { settings } = look;
  return html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta name="color-scheme" content="light dark" />
        <title>${given.title}</title>
        <link rel="stylesheet" href="${links.style}" />
        <link rel="alternate" type="application/atom+xml" title="Incidents (Atom)" href="${links.atom}" />
        <link rel="alternate" type="application/rss+xml" title="Incidents (RSS)" href="${links.rss}" />
      </head>
      <body>
        <a class="skip" href="#main">To the status</a>
        <header>
          <svg viewBox="0 0 24 64" width="24" height="64" aria-hidden="true" focusable="false">
            <path d="M12 0v40" />
            <path class="bob" d="M12 40l7 8-7 16-7-16z" />
          </svg>
          <p class="whose"><a href="${links.home}">${settings.title}</a> <span>status</span></p>
        </header>
        <main id="main">
          ${given.copy === null ? '' : copyNotice(look, given.copy)} ${worldNotice(look)} ${given.main}
        </main>
        <footer>
          <p>
            Follow incidents by <a href="${links.atom}">Atom</a> or <a href="${links.rss}">RSS</a>; programs read
            <a href="${links.summary}">summary.json</a>. ${contactOf(settings.contact)}
          </p>
          <p>All times are UTC. Operational means proved: what nobody can vouch for right now is called unknown.</p>
        </footer>
      </body>
    </html>`.text;
}

export function incidentCard(look: Look, incident: SnapshotIncident, links: Links): Html {
  const next = nextUpdateWords(incident, look.nowMs);
  return html`<article class="incident impact-${incident.severity}">
    <h3><a href="${links.incident(incident.id)}">${incident.title}</a></h3>
    <p class="quiet">
      ${INCIDENT_STATE_WORDS[incident.state]}. Impact: ${IMPACT_WORDS[incident.severity].toLowerCase()}.
      ${spanOf(incident)}.
    </p>
    ${next === null ? '' : html`<p class="next">${next}</p>`} ${factsOf(incident)} ${updatesOf(look, incident)}
  </article>`;
}

export function factsOf(incident: SnapshotIncident): Html {
  return html`<dl class="facts">
    ${join(
      orderFacts(incident).map(
        ([name, value]) =>
          html`<div>
            <dt>${name}</dt>
            <dd>${value}</dd>
          </div>`,
      ),
    )}
  </dl>`;
}

export function updatesOf(look: Look, incident: SnapshotIncident): Html {
  return html`<ol class="updates">
    ${join(
      incident.updates.map(
        ({ atMs, state, body }) =>
          html`<li>
            <p><strong>${INCIDENT_STATE_WORDS[state]}</strong> ${time(atMs, instantWords(atMs, look.nowMs))}</p>
            <p>${body}</p>
          </li>`,
      ),
    )}
  </ol>`;
}

function worldNotice({ publication }: Look): Html {
  if (publication.snapshot.world === 'real') return html``;
  return html`<p class="sandbox">
    <strong>Sandbox.</strong> The stores, the orders and the trouble on this page are pretended.
  </p>`;
}

function copyNotice({ publication, nowMs }: Look, { writtenAtMs }: CopyStamp): Html {
  const untilMs = publication.confirmedAtMs + PUBLICATION_LIMIT_MS;
  const until = time(untilMs, fullInstantWords(untilMs));
  return html`<p class="copy">
    This is a copy, written at ${time(writtenAtMs, fullInstantWords(writtenAtMs))}.
    ${
      nowMs <= untilMs
        ? html`It is renewed every minute. If it is later than ${until} now, believe none of it: the state is unknown.`
        : html`It could not be confirmed since
          ${time(publication.confirmedAtMs, fullInstantWords(publication.confirmedAtMs))},
          ${spanWords(nowMs - publication.confirmedAtMs)} before it was written: the state is unknown.`
    }
  </p>`;
}

function contactOf(contact: string | null): Html {
  if (contact === null) return html``;
  return html`Questions: <a href="${contact}">${contact.replace(/^(?:mailto:|https?:\/\/)/, '')}</a>.`;
}
