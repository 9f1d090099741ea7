import { enginesPanel, failuresPanel, mailsPanel, ordersPanel, removalsPanel, storeName } from './panels.js';
import type { ReplayResult, System } from './replay.js';
import { detection } from './report.js';
import { STYLE } from './chart-style.js';
import { text } from './svg.js';
import { publicPanel } from './telling-panel.js';
import { daysTold, instant, isNoise, minutesTo, tellingWords, WORTH_WORDS } from './telling-report.js';
import { PAGE_ROUTES } from './telling.js';
import { dateName, minutes, percent } from './words.js';

const DAY_MS = 86_400_000;

/** The result as one page that needs nothing but a browser. */
export function chart(result: ReplayResult): string {
  const { plain, plumbline, story } = result;
  const worst = (system: System): number | null =>
    system.days.reduce<number | null>((most, { worstDetectionMinutes: value }) => {
      return value === null ? most : Math.max(most ?? 0, value);
    }, null);
  const said = (value: number | null): string => {
    if (value === null) return 'none to notice';
    return value < 120 ? `${minutes(value)} min` : `${minutes(value / 60)} h`;
  };
  const unnoticed = plain.days.reduce((sum, { unnoticed: count }) => sum + count, 0);
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>October 2019, lived through again</title>
<style>${STYLE}</style>
</head>
<body>
<main>
<header>
<p class="kicker">Seed ${result.seed} · ${story.days} days · ${story.stores} stores · ${plain.total.sold} orders · lived through in ${result.realSeconds.toFixed(0)} s</p>
<h1>October 2019, lived through again</h1>
<p class="lead">The same ten days, the same orders, the same misfortunes, for two systems. The plain handler answers Shopify when its work is done; Plumbline when the webhook is on disk.</p>
</header>
<section class="cards" aria-label="In short">
${card('A plain handler', 'plain', [
  [percent(plain.total.arrived / plain.total.sold) + ' %', 'of orders arrived'],
  [String(plain.total.lost), 'orders lost for good'],
  [said(worst(plain)) + (unnoticed > 0 ? `, ${unnoticed} never` : ''), 'until a removal was noticed, at worst'],
  [
    `${plain.evidence.mails.length} mails, ${result.readMails.reduce((sum, count) => sum + count, 0)} read`,
    'was what told anybody; the public was told nothing',
  ],
])}
${card('Plumbline', 'plumbline', [
  [percent(plumbline.total.arrived / plumbline.total.sold) + ' %', 'of orders arrived'],
  [String(plumbline.total.lost), 'orders lost for good'],
  [said(worst(plumbline)), 'until a removal was noticed, at worst'],
  [
    `${result.told.pages.length} pages, ${result.told.pages.filter(isNoise).length} noise`,
    'and a public page that said so while orders were known missing',
  ],
])}
</section>
${figure('Orders of each day', 'By the day they were paid. Late is more than 15 minutes.', legend(['good', 'arrived in time'], ['late', 'late'], ['lost', 'lost']), `<h3>A plain handler</h3>${ordersPanel(result, 'a plain handler', plain)}<h3>Plumbline</h3>${ordersPanel(result, 'Plumbline', plumbline)}`)}
${figure('What the uptime ping saw, and what was so', `${result.pings.answered} of ${result.pings.asked} pings were answered, by the host. The engines behind it ran out of memory one by one, and the balancer went on giving each its turn.`, legend(['ping', 'uptime ping answered'], ['plain', 'engines alive']), enginesPanel(result))}
${figure('Attempts that failed', 'No good answer within Shopify’s five seconds, as a share of each hour’s attempts, retries among them.', legend(['plain', 'a plain handler'], ['plumbline', 'Plumbline']), failuresPanel(result))}
${figure('Mails from Shopify to the plain handler’s people', 'One subject says “failing”, the other “removed”; both are filed away.', legend(['mail', 'failing'], ['lost', 'removed']), mailsPanel(result))}
${figure('Removed subscriptions, until they were noticed', 'While a bar lasts, that store’s orders are told to nobody.', legend(['lost', 'a plain handler'], ['plumbline-mark', 'Plumbline']), removalsPanel(result))}
${figure('What the public page said, and what was true', 'Hour by hour; a mark is a page that somebody was sent. A late order is missing until it arrives. The plain handler had no such page.', legend(['operational', 'operational'], ['degraded', 'degraded'], ['unknown', 'unknown'], ['partial', 'partial outage'], ['major', 'major outage'], ['lost', 'orders missing'], ['page', 'page'], ['noise', 'page that was noise']), publicPanel(result))}
<section>
<h2>Who was told</h2>
${tellingWords(result)
  .map((words) => `<p>${text(words)}</p>`)
  .join('\n')}
${tellingTable(result)}
${pagesTable(result)}
</section>
<section>
<h2>Day by day</h2>
${table('A plain handler', plain, story.startAtMs)}
${table('Plumbline', plumbline, story.startAtMs)}
</section>
<section>
<h2>What the people did</h2>
<ol class="diary">${result.diary.map(({ atMs, text: words }) => `<li><time datetime="${new Date(atMs).toISOString()}">${when(atMs)}</time> ${text(words.replaceAll(/sandbox-[a-z-]+\.myshopify\.com/g, storeName))}</li>`).join('')}</ol>
</section>
<footer><p>Made by <code>npm run replay-2019 -- --seed ${result.seed}</code>. Every figure comes out of the simulation; its parameters and their reasons are in docs/replay-2019.md.</p></footer>
</main>
</body>
</html>
`;
}

function card(name: string, className: string, facts: readonly (readonly [string, string])[]): string {
  const rows = facts.map(([value, words]) => `<div><dt>${text(words)}</dt><dd>${text(value)}</dd></div>`).join('');
  return `<article class="card ${className}"><h2>${name}</h2><dl>${rows}</dl></article>`;
}

function figure(name: string, words: string, key: string, inside: string): string {
  return `<figure><figcaption><h2>${text(name)}</h2><p>${text(words)}</p>${key}</figcaption><div class="scroll" tabindex="0" role="group" aria-label="${text(name)}">${inside}</div></figure>`;
}

function legend(...entries: readonly (readonly [string, string])[]): string {
  return `<ul class="legend">${entries.map(([className, words]) => `<li><span class="swatch ${className}"></span>${text(words)}</li>`).join('')}</ul>`;
}

function tellingTable(result: ReplayResult): string {
  const rows = daysTold(result).map((day, index) => {
    const cells = [
      day.mails,
      day.mailsRead,
      day.mailsOfRemovals,
      ...PAGE_ROUTES.map((route) => day.pages.filter((page) => page.route === route).length),
      day.noise,
      day.worstMinutes === null ? '' : minutes(day.worstMinutes),
      day.hours.filter(({ worst }) => worst !== 'operational').length,
      day.hours.filter(({ missingWithin }) => missingWithin.plumbline > 0).length,
      day.hours.filter(({ missingWithin }) => missingWithin.plain > 0).length,
    ];
    return [dateName(result.story.startAtMs + index * DAY_MS), ...cells.map(String)];
  });
  const heads = [
    'Day',
    'Mails',
    'Read',
    'Of removals',
    ...PAGE_ROUTES.map((route) => `Pages: ${route}`),
    'Noise',
    'Removal to page, min',
    'Hours not operational',
    'Hours with orders missing',
    'At the plain handler',
  ];
  return plainTable('Mails to the plain handler’s people, and pages of Plumbline', heads, rows);
}

function pagesTable({ told }: ReplayResult): string {
  const rows = told.pages.map((page) => {
    const after = minutesTo(page);
    return [
      `${instant(page.atMs)}, ${page.route}`,
      after === null ? '' : minutes(after),
      page.closedAtMs === null ? 'open' : minutes((page.closedAtMs - page.atMs) / 60_000),
      WORTH_WORDS[page.worth],
      page.title.replaceAll(/sandbox-[a-z-]+\.myshopify\.com/g, storeName),
    ];
  });
  return plainTable(
    'Pages of Plumbline',
    ['At, by route', 'After, min', 'Open for, min', 'Noise', 'Words'],
    rows,
    'words',
  );
}

function plainTable(name: string, heads: readonly string[], rows: readonly (readonly string[])[], kind = ''): string {
  const body = rows.map(
    ([first = '', ...cells]) =>
      `<tr><th scope="row">${text(first)}</th>${cells.map((cell) => `<td>${text(cell)}</td>`).join('')}</tr>`,
  );
  const head = heads.map((each) => `<th scope="col">${text(each)}</th>`).join('');
  return `<div class="scroll" tabindex="0" role="group" aria-label="${text(name)}"><table class="${kind}"><caption>${text(name)}</caption><thead><tr>${head}</tr></thead><tbody>${body.join('')}</tbody></table></div>`;
}

function table(name: string, system: System, startAtMs: number): string {
  const rows = system.days.map((day, index) => {
    const cells = [
      day.sold,
      day.arrived,
      day.sold === 0 ? '' : `${percent(day.arrived / day.sold)} %`,
      day.late,
      day.lost,
      day.removals,
      detection(day),
      day.mails,
      day.signals,
    ];
    return `<tr${day.lost > 0 ? ' class="bad"' : ''}><th scope="row">${dateName(startAtMs + index * DAY_MS)}</th>${cells.map((cell) => `<td>${cell}</td>`).join('')}</tr>`;
  });
  const heads = ['Sold', 'Arrived', 'Share', 'Late', 'Lost', 'Removed', 'Noticed after, min', 'Mails', 'Signals'];
  return `<div class="scroll" tabindex="0" role="group" aria-label="${name}, day by day"><table><caption>${name}</caption><thead><tr><th scope="col">Day</th>${heads.map((head) => `<th scope="col">${head}</th>`).join('')}</tr></thead><tbody>${rows.join('')}</tbody></table></div>`;
}

function when(atMs: number): string {
  return `${dateName(atMs)}, ${new Date(atMs).toISOString().slice(11, 16)}`;
}
