import type { HealthReport, HealthState } from '../kernel/health.js';
import type { DestinationKind, PipelineTotals } from '../pipeline/contract.js';
import type { StartFacts } from './deps.js';
import { html, join, type Html } from '../kernel/html.js';

export interface StartPageView {
  version: string;
  at: Date;
  services: readonly HealthReport[];
  /** `null` = the database cannot tell right now. */
  totals: PipelineTotals | null;
  facts: StartFacts;
}

const REFRESH_SECONDS = 5;

/** A word and a sign for each state: colour alone tells nobody anything. */
const STATES: Record<HealthState, { word: string; sign: string }> = {
  ok: { word: 'runs', sign: '●' },
  degraded: { word: 'weaker than it should be', sign: '◐' },
  unknown: { word: 'unknown', sign: '○' },
  failing: { word: 'failing, tries again', sign: '▲' },
  dead: { word: 'dead', sign: '■' },
};

const KIND_NAMES: Record<DestinationKind, string> = {
  ga4: 'Google Analytics 4',
  segment: 'Segment',
  postgres: 'PostgreSQL warehouse',
  webhook: 'Webhook',
};

/** The first thing a newcomer sees. Pure; every value is escaped; no script. */
export function renderStartPage(view: StartPageView): string {
  const { facts, totals, services } = view;
  const verdict = verdictOf(view);
  return html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta name="color-scheme" content="light dark" />
        ${facts.sandboxUrl === null ? '' : html`<meta http-equiv="refresh" content="${REFRESH_SECONDS}" />`}
        <title>Plumbline - ${verdict.headline}</title>
        <link rel="stylesheet" href="/start.css?v=${view.version}" />
      </head>
      <body>
        <header>
          <svg viewBox="0 0 24 64" width="24" height="64" aria-hidden="true" focusable="false">
            <path d="M12 0v40" />
            <path class="bob" d="M12 40l7 8-7 16-7-16z" />
          </svg>
          <div>
            <p class="mark">Plumbline</p>
            <h1>${verdict.headline}</h1>
            <p class="quiet">
              Release ${view.version}. As of ${clockTime(view.at)}
              UTC${facts.sandboxUrl === null ? '.' : html`, read again every ${REFRESH_SECONDS} seconds.`}
            </p>
          </div>
        </header>
        <main>
          ${
            verdict.notices.length === 0
              ? ''
              : html`<ul class="notices">
                  ${join(verdict.notices.map((notice) => html`<li>${notice}</li>`))}
                </ul>`
          }
          ${totals === null ? noTotals() : totalsSection(totals)} ${whereToLook(facts)} ${whatRuns(services)}
        </main>
        <footer>
          <p>
            An answer of 200 means the webhook is on disk. Accepted means a destination said so; confirmed means it was
            read back there.
          </p>
        </footer>
      </body>
    </html>`.text;
}

/** The one sentence, and what a person should know before anything else. */
export function verdictOf({ services, totals, facts }: StartPageView): { headline: string; notices: string[] } {
  const weak = facts.durability?.filter((setting) => !setting.durable) ?? [];
  const dead = services.filter(({ state }) => state === 'dead').map(({ name }) => name);
  const failing = services.filter(({ state }) => state === 'failing').map(({ name }) => name);
  const unproved = services.filter(({ state }) => state === 'unknown' || state === 'degraded').map(({ name }) => name);
  const notices: string[] = [];
  if (totals === null) {
    notices.push(
      'The database cannot be reached. Webhooks are still taken in, into the journal on disk; deliveries wait until it is back.',
    );
  }
  if (weak.length > 0) {
    notices.push(
      `Durability is weak: ${weak.map(({ name, value }) => `${name} = ${value}`).join(', ')}. A power cut would lose orders ` +
        'that were answered with 200. The runbook database-not-durable has the statement that mends it.',
    );
  } else if (facts.durability === null) {
    notices.push('Whether the database keeps what it commits is not known yet.');
  }
  if (dead.length > 0) notices.push(`Stopped or stuck: ${dead.join(', ')}. A person has to look; see the log.`);
  if (totals && totals.deadLetters.ours > 0) {
    notices.push(
      `${count(totals.deadLetters.ours)} dead letters wait for us: npx plumbline dead-letters list --lane ours`,
    );
  }
  const headline =
    totals === null
      ? 'The database is away.'
      : dead.length > 0
        ? `${dead.length === 1 ? 'One service has' : `${dead.length} services have`} stopped.`
        : weak.length > 0
          ? 'It runs, but a power cut would lose orders.'
          : failing.length > 0
            ? `Trouble with ${failing.join(', ')}; it is tried again.`
            : unproved.length > 0
              ? 'It runs; not everything is proved yet.'
              : 'Everything runs.';
  return { headline, notices };
}

function totalsSection(totals: PipelineTotals): Html {
  const figure = (name: string, value: number): Html =>
    html`<div>
      <dt>${name}</dt>
      <dd>${count(value)}</dd>
    </div>`;
  return html`<section aria-labelledby="totals">
      <h2 id="totals">In the last hour</h2>
      <dl class="figures">${figure('Webhooks stored', totals.webhooksStored)}</dl>
      ${
        totals.orders.length === 0
          ? html`<p class="quiet">No order has reached a destination in the last hour.</p>`
          : arrivals(totals.orders)
      }
    </section>
    <section aria-labelledby="open">
      <h2 id="open">Open now</h2>
      <dl class="figures">
        ${figure('Events waiting', totals.waiting)} ${figure('Dead letters, ours', totals.deadLetters.ours)}
        ${figure('Dead letters, theirs', totals.deadLetters.theirs)} ${figure('Webhooks held', totals.held)}
      </dl>
    </section>`;
}

function arrivals(orders: PipelineTotals['orders']): Html {
  const row = ({ destinationKind, accepted, confirmed }: PipelineTotals['orders'][number]): Html =>
    html`<tr>
      <th scope="row">${KIND_NAMES[destinationKind]}</th>
      <td class="number">${count(accepted)}</td>
      <td class="number">${confirmed === 0 ? 'not proved' : count(confirmed)}</td>
    </tr>`;
  return html`<table>
    <caption>
      Orders that arrived, by kind of destination
    </caption>
    <thead>
      <tr>
        <th scope="col">Destination</th>
        <th scope="col" class="number">Accepted</th>
        <th scope="col" class="number">Confirmed</th>
      </tr>
    </thead>
    <tbody>
      ${join(orders.map(row))}
    </tbody>
  </table>`;
}

function noTotals(): Html {
  return html`<section aria-labelledby="totals">
    <h2 id="totals">In the last hour</h2>
    <p>Unknown while the database is away.</p>
  </section>`;
}

function whereToLook(facts: StartFacts): Html {
  const link = (href: string, text: string): Html => html`<a href="${href}">${text}</a>`;
  const rows: [string, Html][] = [
    ['What the public is told', link('/status', '/status')],
    ['Health of every service', link('/healthz', '/healthz')],
  ];
  if (facts.sandboxUrl !== null) {
    rows.unshift(['Make trouble in the sandbox, and watch it being found', link(facts.sandboxUrl, facts.sandboxUrl)]);
  }
  rows.push(['The API, described', link('/api/openapi.json', '/api/openapi.json')]);
  if (facts.metricsUrl !== null) rows.push(['Metrics for Prometheus', link(facts.metricsUrl, facts.metricsUrl)]);
  rows.push([
    'The API token',
    facts.adminTokenPath === null
      ? html`as set in <code>PLUMBLINE_ADMIN_TOKEN</code>`
      : html`in the file <code>${facts.adminTokenPath}</code>`,
  ]);
  rows.push(['What is wrong now', html`<code>npx plumbline signals</code>`]);
  rows.push([
    'Whether everything sold has arrived',
    html`<code>npx plumbline proofs</code>, <code>npx plumbline reconciliations</code>`,
  ]);
  rows.push(['One order, end to end', html`<code>npx plumbline order SHOP ID</code>`]);
  rows.push([
    'The database',
    facts.database === 'embedded' ? html`its own, in the data directory` : html`the one of <code>DATABASE_URL</code>`,
  ]);
  return html`<section aria-labelledby="where">
    <h2 id="where">Where to look</h2>
    <dl class="places">
      ${join(
        rows.map(
          ([term, text]) =>
            html`<div>
              <dt>${term}</dt>
              <dd>${text}</dd>
            </div>`,
        ),
      )}
    </dl>
  </section>`;
}

function whatRuns(services: readonly HealthReport[]): Html {
  return html`<section aria-labelledby="runs">
    <h2 id="runs">What runs</h2>
    <table>
      <caption class="hidden">
        Internal services with their state
      </caption>
      <thead>
        <tr>
          <th scope="col">Service</th>
          <th scope="col">State</th>
          <th scope="col" class="number">Last seen</th>
        </tr>
      </thead>
      <tbody>
        ${join(
          services.map(
            ({ name, state, ageMs, detail }) =>
              html`<tr class="${state}">
                <th scope="row">${name}</th>
                <td>
                  <span aria-hidden="true">${STATES[state].sign}</span>
                  ${STATES[state].word}${detail === null ? '' : html`<br /><small>${detail}</small>`}
                </td>
                <td class="number">${ageMs === null ? '-' : age(ageMs)}</td>
              </tr>`,
          ),
        )}
      </tbody>
    </table>
  </section>`;
}

function count(value: number): string {
  return value.toLocaleString('en-GB');
}

function clockTime(at: Date): string {
  return at.toISOString().slice(11, 19);
}

/** How long ago, in the largest unit that fits. */
export function age(ms: number): string {
  const seconds = Math.max(0, ms) / 1000;
  if (seconds < 1) return 'now';
  if (seconds < 120) return `${Math.round(seconds)} s ago`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min ago`;
  return `${Math.round(seconds / 3600)} h ago`;
}
