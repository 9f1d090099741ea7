// Under a name of its own, because these are not HTML and no formatter may treat them so.
import { html as xml, join, type Html } from '../kernel/html.js';
import { INCIDENT_STATE_WORDS } from './incident-words.js';
import type { Look } from './look.js';
import { feedInstantWords } from './public-words.js';
import { newestAt, type SnapshotIncident } from './snapshot.js';

/** As many as Statuspage's feeds have. */
const ENTRIES_MAX = 50;

/**
 * `history.atom`: one entry an incident. Its id never changes, and `updated` is that of its last update, so that readers
 * see an incident change in place instead of a new one (RFC 4287).
 */
export function atomFeed(look: Look): string {
  const { settings } = look;
  const entries = incidentsOf(look);
  return xml`<?xml version="1.0" encoding="UTF-8"?>
<feed xml:lang="en" xmlns="http://www.w3.org/2005/Atom">
  <id>${tagOf(look)}:/history</id>
  <link rel="alternate" type="text/html" href="${settings.url}"/>
  <link rel="self" type="application/atom+xml" href="${settings.url}/history.atom"/>
  <title>${settings.title} Status - Incident History</title>
  <updated>${seconds(updatedAt(look))}</updated>
  <author>
    <name>${settings.title}</name>
  </author>
${join(
  entries.map(
    (incident) => xml`  <entry>
    <id>${tagOf(look)}:Incident/${incident.id}</id>
    <published>${seconds(incident.declaredAtMs)}</published>
    <updated>${seconds(newestAt(incident))}</updated>
    <link rel="alternate" type="text/html" href="${settings.url}/incidents/${incident.id}"/>
    <title>${xmlText(incident.title)}</title>
    <content type="html">${contentOf(incident).text}</content>
  </entry>
`,
  ),
)}</feed>
`.text;
}

/** `history.rss`. `pubDate` is when it was published: Statuspage moves it with every update, and readers show it again. */
export function rssFeed(look: Look): string {
  const { settings } = look;
  return xml`<?xml version="1.0" encoding="UTF-8"?>
<rss version="2.0" xmlns:atom="http://www.w3.org/2005/Atom">
  <channel>
    <title>${settings.title} Status - Incident History</title>
    <link>${settings.url}</link>
    <description>Incidents of ${settings.title}</description>
    <language>en</language>
    <lastBuildDate>${rfc822(updatedAt(look))}</lastBuildDate>
    <atom:link rel="self" type="application/rss+xml" href="${settings.url}/history.rss"/>
${join(
  incidentsOf(look).map(
    (incident) => xml`    <item>
      <title>${xmlText(incident.title)}</title>
      <link>${settings.url}/incidents/${incident.id}</link>
      <guid isPermaLink="false">${tagOf(look)}:Incident/${incident.id}</guid>
      <pubDate>${rfc822(incident.declaredAtMs)}</pubDate>
      <atom:updated>${seconds(newestAt(incident))}</atom:updated>
      <description>${contentOf(incident).text}</description>
    </item>
`,
  ),
)}  </channel>
</rss>
`.text;
}

function incidentsOf(look: Look): readonly SnapshotIncident[] {
  return look.publication.snapshot.incidents.slice(0, ENTRIES_MAX);
}

/** Of the newest update; of a page that has never had an incident, its own beginning. */
function updatedAt(look: Look): number {
  const { incidents, createdAtMs } = look.publication.snapshot;
  return Math.max(createdAtMs, ...incidents.map(newestAt));
}

/** RFC 4151; the year is what Statuspage's readers know. */
function tagOf(look: Look): string {
  return `tag:${new URL(look.settings.url).hostname},2005`;
}

/** HTML; where it stands in the feed it is escaped once more, as text. */
function contentOf(incident: SnapshotIncident): Html {
  return join(
    incident.updates.map(
      ({ atMs, state, body }) =>
        xml`<p><small>${feedInstantWords(atMs)}</small><br><strong>${INCIDENT_STATE_WORDS[state]}</strong> - ${xmlText(body)}</p>`,
    ),
  );
}

/** Without the characters that XML 1.0 has no way to write. */
function xmlText(text: string): string {
  return [...text.toWellFormed()].filter((character) => isXml(character.codePointAt(0) ?? 0)).join('');
}

/** XML 1.0, "Char". */
function isXml(code: number): boolean {
  return code === 9 || code === 10 || code === 13 || (code >= 0x20 && code !== 0xfffe && code !== 0xffff);
}

function seconds(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19)}Z`;
}

function rfc822(ms: number): string {
  return new Date(ms).toUTCString().replace('GMT', '+0000');
}
