/** Where the pages and feeds lie, seen from one of them. */
export interface Links {
  home: string;
  history: string;
  incident: (id: string) => string;
  style: string;
  atom: string;
  rss: string;
  summary: string;
}

/** Served by this service: each page has one address, whoever links to it. */
export function servedLinks(styleVersion: string): Links {
  return {
    home: '/status',
    history: '/status/history',
    incident: (id) => `/status/incidents/${id}`,
    style: `/status/status.css?v=${styleVersion}`,
    atom: '/status/history.atom',
    rss: '/status/history.rss',
    summary: '/status/api/v2/summary.json',
  };
}

/**
 * In an exported copy: relative, so that it works under any address and from a disk. Pages are called index.html, so that
 * a host finds them under the addresses that feeds and JSON name.
 *
 * @param depth how many directories below the copy's root the page lies
 */
export function copiedLinks(depth: number): Links {
  const root = '../'.repeat(depth);
  return {
    home: `${root}index.html`,
    history: `${root}history/index.html`,
    incident: (id) => `${root}incidents/${id}/index.html`,
    style: `${root}status.css`,
    atom: `${root}history.atom`,
    rss: `${root}history.rss`,
    summary: `${root}api/v2/summary.json`,
  };
}
