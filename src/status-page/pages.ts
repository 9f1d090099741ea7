import { html, join, type Html } from '../kernel/html.js';
import { DAY_MS, DAYS_SHOWN, startOf } from './days.js';
import { IMPACT_WORDS, INCIDENT_STATE_WORDS, nextUpdateWords, spanOf } from './incident-words.js';
import type { Links } from './links.js';
import { namesOf, type Look, type ShownComponent } from './look.js';
import { factsOf, icon, incidentCard, pageOf, time, updatesOf, type CopyStamp } from './page-parts.js';
import { dayOf, dayWords, instantWords, numberWords, percentWords, spanWords } from './public-words.js';
import { liveEntries, PUBLICATION_LIMIT_MS } from './shown.js';
import type { Arrivals, SnapshotEntry, SnapshotIncident } from './snapshot.js';
import { STATE_WORDS } from './states.js';
import { incidentsOn, stripOf } from './strip.js';

const PAST_SHOWN = 5;

export function statusPage(look: Look, links: Links, copy: CopyStamp | null): string {
  const main = html`${banner(look)} ${openIncidents(look, links)} ${components(look, links)} ${maintenance(look)}
  ${throughput(look)} ${pastIncidents(look, links)}`;
  return pageOf(look, links, { title: `${look.headline} - ${look.settings.title} status`, main, copy });
}

export function incidentPage(look: Look, incident: SnapshotIncident, links: Links, copy: CopyStamp | null): string {
  const next = nextUpdateWords(incident, look.nowMs);
  const names = incident.components.map(({ id }) => namesOf(id, look.settings).name);
  const main = html`<section class="incident impact-${incident.severity}">
    <h1>${incident.title}</h1>
    <p class="quiet">
      ${INCIDENT_STATE_WORDS[incident.state]}. Impact: ${IMPACT_WORDS[incident.severity].toLowerCase()}.
      ${spanOf(incident)}.
    </p>
    ${names.length === 0 ? '' : html`<p class="quiet">Touches: ${names.join(', ')}.</p>`}
    ${next === null ? '' : html`<p class="next">${next}</p>`} ${factsOf(incident)}
    <h2>Updates, newest first</h2>
    ${updatesOf(look, incident)}
    <p class="onwards">
      <a href="${links.home}">What works now</a>, <a href="${links.history}">what happened before</a>
    </p>
  </section>`;
  return pageOf(look, links, { title: `${incident.title} - ${look.settings.title} status`, main, copy });
}

export function historyPage(look: Look, links: Links, copy: CopyStamp | null): string {
  const today = startOf(look.nowMs);
  const days = Array.from({ length: DAYS_SHOWN }, (_, back) => today - back * DAY_MS);
  const main = html`<h1>90 days, day by day</h1>
    <p><a href="${links.home}">What works now</a></p>
    <ol class="history">
      ${join(days.map((startMs) => historyDay(look, startMs, links)))}
    </ol>`;
  return pageOf(look, links, { title: `History - ${look.settings.title} status`, main, copy });
}

function banner(look: Look): Html {
  const { nowMs, publication, state, headline } = look;
  const { confirmedAtMs } = publication;
  const confirmed = time(confirmedAtMs, instantWords(confirmedAtMs, nowMs));
  const age = spanWords(nowMs - confirmedAtMs);
  return html`<section class="banner ${state}" role="status" aria-live="polite">
    <h1>${icon(state)} <span>${headline}</span></h1>
    ${proofLine(look)}
    ${
      confirmedAtMs === 0
        ? html`<p>Nothing has been published yet.</p>`
        : nowMs - confirmedAtMs > PUBLICATION_LIMIT_MS
          ? html`<p>Nothing has been published since ${confirmed}, ${age} ago: what follows was so then.</p>`
          : html`<p class="quiet">As of ${confirmed}, ${age} ago.</p>`
    }
  </section>`;
}

/** The proof that the whole page rests on: the oldest that any component goes by. */
function proofLine({ components: shown, nowMs, state }: Look): Html {
  const oldest = shown
    .filter(({ id }) => id !== 'status')
    .flatMap(({ proof }) => proof ?? [])
    .sort((one, other) => one.atMs - other.atMs)[0];
  if (oldest === undefined) return html`<p>There is no proof yet that orders arrive.</p>`;
  const verb = state === 'operational' ? 'Proved' : 'Last proved';
  return html`<p>
    ${verb} at ${time(oldest.atMs, instantWords(oldest.atMs, nowMs))} by ${oldest.by}, ${spanWords(nowMs - oldest.atMs)}
    ago.
  </p>`;
}

function openIncidents(look: Look, links: Links): Html {
  if (look.open.length === 0) return html``;
  return html`<section aria-labelledby="open">
    <h2 id="open">${look.open.length === 1 ? 'Open incident' : 'Open incidents'}</h2>
    ${join(look.open.map((incident) => incidentCard(look, incident, links)))}
  </section>`;
}

function components(look: Look, links: Links): Html {
  if (look.components.length === 0) return html``;
  return html`<section aria-labelledby="components">
    <h2 id="components">Components</h2>
    <ul class="components">
      ${join(look.components.map((shown) => componentRow(look, shown, links)))}
    </ul>
    <ul class="legend">
      ${join(LEGEND.map(([level, words]) => html`<li><span class="swatch ${level}" aria-hidden="true"></span>${words}</li>`))}
    </ul>
  </section>`;
}

const LEGEND = [
  ['full', '100 %'],
  ['counting', '100 %, not final'],
  ['slight', 'below 100 %'],
  ['some', 'below 99.99 %'],
  ['heavy', 'below 99 %'],
  ['none', 'no data'],
  ['struck', 'incident'],
] as const;

function componentRow(look: Look, shown: ShownComponent, links: Links): Html {
  const notes = liveEntries(look.publication.snapshot, look.nowMs).filter(
    ({ component, worsen }) => component === shown.id && worsen === null,
  );
  return html`<li class="component">
    <h3>
      ${icon(shown.state)} <span>${shown.name}</span>
      <span class="word ${shown.state}">${STATE_WORDS[shown.state]}</span>
    </h3>
    <p class="quiet">${shown.description}</p>
    ${join([...shown.why.map((words) => html`<p class="why">${words}</p>`), ...notes.map(({ note }) => html`<p class="note">${note}</p>`)])}
    ${componentProof(look, shown)} ${stripOf(look, shown.id, shown.name, links)}
  </li>`;
}

function componentProof({ nowMs }: Look, { id, proof, state }: ShownComponent): Html {
  if (proof === null || id === 'status' || state !== 'operational') return html``;
  return html`<p class="quiet">Proved at ${time(proof.atMs, instantWords(proof.atMs, nowMs))} by ${proof.by}.</p>`;
}

function maintenance({ publication, nowMs, settings }: Look): Html {
  const planned = publication.snapshot.entries.filter(
    ({ worsen, untilMs }) => worsen === 'under_maintenance' && untilMs > nowMs,
  );
  if (planned.length === 0) return html``;
  const row = ({ component, note, fromMs, untilMs }: SnapshotEntry): Html =>
    html`<li>
      <p>
        <strong>${namesOf(component, settings).name}</strong>, ${time(fromMs, instantWords(fromMs, nowMs))} to
        ${time(untilMs, instantWords(untilMs, nowMs))}
      </p>
      <p>${note}</p>
    </li>`;
  return html`<section aria-labelledby="maintenance">
    <h2 id="maintenance">Maintenance</h2>
    <ul class="updates">
      ${join(planned.map(row))}
    </ul>
  </section>`;
}

function throughput({ publication }: Look): Html {
  const { yesterday, last28Days } = publication.snapshot.throughput;
  const figure = (name: string, value: Arrivals | null, span: string): Html =>
    html`<div>
      <dt>${name}</dt>
      <dd>${value === null ? 'not settled yet' : (percentWords(value.arrived, value.owed) ?? 'no orders')}</dd>
      <dd class="quiet">
        ${
          value === null
            ? 'destinations may still show more'
            : `${numberWords(value.arrived)} of ${numberWords(value.owed)} orders${span}`
        }
      </dd>
    </div>`;
  const known = last28Days?.days ?? 0;
  return html`<section aria-labelledby="throughput">
    <h2 id="throughput">Orders that arrived</h2>
    <dl class="figures">
      ${figure('Yesterday', yesterday, '')}
      ${figure('28 days', last28Days, known < 28 ? `, ${known} of 28 days settled` : '')}
    </dl>
    <p class="quiet">
      Settled throughput: orders that arrived ÷ orders owed (sold, less those a destination is set to leave out). An
      order counts once for each destination that is owed it.
    </p>
  </section>`;
}

function pastIncidents(look: Look, links: Links): Html {
  const shown = look.past.slice(0, PAST_SHOWN);
  return html`<section aria-labelledby="past">
    <h2 id="past">Past incidents</h2>
    ${
      shown.length === 0
        ? html`<p class="quiet">None so far.</p>`
        : html`<ul class="past">
            ${join(shown.map((incident) => pastRow(look, incident, links)))}
          </ul>`
    }
    <p><a href="${links.history}">90 days, day by day</a></p>
  </section>`;
}

function pastRow({ nowMs }: Look, incident: SnapshotIncident, links: Links): Html {
  return html`<li>
    <a href="${links.incident(incident.id)}">${incident.title}</a>
    <span class="quiet"
      >${time(incident.startedAtMs, instantWords(incident.startedAtMs, nowMs))}${
        incident.resolvedAtMs === null ? '' : `, for ${spanWords(incident.resolvedAtMs - incident.startedAtMs)}`
      }</span
    >
  </li>`;
}

function historyDay(look: Look, startMs: number, links: Links): Html {
  const day = dayOf(startMs);
  const { days, incidents } = look.publication.snapshot;
  const figures = look.components.flatMap(({ id, name }) => {
    const figure = days[id]?.days.find((each) => each.day === day);
    const share = figure && percentWords(figure.arrived, figure.owed);
    return share == null ? [] : [{ name, share, isSettled: figure?.isSettled === true }];
  });
  const struck = incidentsOn(incidents, startMs);
  return html`<li id="${day}">
    <h2><time datetime="${day}">${dayWords(day)}</time></h2>
    ${
      figures.length === 0
        ? html`<p class="quiet">No data.</p>`
        : html`<dl class="shares">
            ${join(
              figures.map(
                ({ name, share, isSettled }) =>
                  html`<div>
                    <dt>${name}</dt>
                    <dd>${share}${isSettled ? '' : html` <span class="quiet">not final</span>`}</dd>
                  </div>`,
              ),
            )}
          </dl>`
    }
    ${
      struck.length === 0
        ? ''
        : html`<ul class="past">
            ${join(struck.map((incident) => pastRow(look, incident, links)))}
          </ul>`
    }
  </li>`;
}
