import { createHash } from 'node:crypto';
import { atomFeed, rssFeed } from './feeds.js';
import { copiedLinks, servedLinks } from './links.js';
import type { Look } from './look.js';
import type { CopyStamp } from './page-parts.js';
import { historyPage, incidentPage, statusPage } from './pages.js';
import { DOCUMENTS } from './statuspage-json.js';
import { STATUS_STYLE } from './style.js';

export const TYPES = {
  html: 'text/html; charset=utf-8',
  css: 'text/css; charset=utf-8',
  json: 'application/json; charset=utf-8',
  atom: 'application/atom+xml; charset=utf-8',
  rss: 'application/rss+xml; charset=utf-8',
} as const;

export interface Resource {
  type: keyof typeof TYPES;
  text: string;
}

const LINKS = servedLinks(createHash('sha256').update(STATUS_STYLE).digest('hex').slice(0, 12));
const INCIDENT_PATH = /^incidents\/([0-9a-z]{12})$/;

/**
 * What is served below `/status`. Pure.
 *
 * @param path after `/status/`; empty = the page itself
 * @returns `null` = there is no such thing
 */
export function servedAt(path: string, look: Look): Resource | null {
  if (path === '') return { type: 'html', text: statusPage(look, LINKS, null) };
  if (path === 'history') return { type: 'html', text: historyPage(look, LINKS, null) };
  const id = INCIDENT_PATH.exec(path)?.[1];
  if (id !== undefined) {
    const incident = look.publication.snapshot.incidents.find((each) => each.id === id);
    return incident ? { type: 'html', text: incidentPage(look, incident, LINKS, null) } : null;
  }
  return withoutLinks(path, look);
}

/**
 * A complete copy, in the order in which it is to be written: what is linked to first. Pure.
 *
 * @returns the text of each file, by its path
 */
export function copyOf(look: Look, copy: CopyStamp): Map<string, string> {
  const files = new Map<string, string>();
  for (const path of ['status.css', 'history.atom', 'history.rss', ...API_PATHS]) {
    files.set(path, withoutLinks(path, look)?.text ?? '');
  }
  for (const incident of look.publication.snapshot.incidents) {
    files.set(`incidents/${incident.id}/index.html`, incidentPage(look, incident, copiedLinks(2), copy));
  }
  files.set('history/index.html', historyPage(look, copiedLinks(1), copy));
  files.set('index.html', statusPage(look, copiedLinks(0), copy));
  return files;
}

const API_PATHS = Object.keys(DOCUMENTS).map((name) => `api/v2/${name}`);

function withoutLinks(path: string, look: Look): Resource | null {
  if (path === 'status.css') return { type: 'css', text: STATUS_STYLE };
  if (path === 'history.atom') return { type: 'atom', text: atomFeed(look) };
  if (path === 'history.rss') return { type: 'rss', text: rssFeed(look) };
  const name = path.startsWith('api/v2/') ? path.slice('api/v2/'.length) : '';
  const document = Object.hasOwn(DOCUMENTS, name) ? DOCUMENTS[name] : undefined;
  return document ? { type: 'json', text: JSON.stringify(document(look)) } : null;
}
