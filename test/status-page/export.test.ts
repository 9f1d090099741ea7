import { existsSync } from 'node:fs';
import { readdir, readFile, stat } from 'node:fs/promises';
import { dirname, join, normalize, relative } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { ExportedCopy } from '../../src/status-page/exported-copy.js';
import { DAY_MS, incident, MINUTE_MS, NOON_MS, PageRig, textOf } from './page-rig.js';

let rig: PageRig | null = null;
afterEach(() => rig?.close());

async function exported(): Promise<{ rig: PageRig; copy: ExportedCopy }> {
  const opened = await PageRig.open();
  rig = opened;
  opened.proveAll();
  opened.sell();
  opened.incidents = [
    incident({ id: 'inc000000002' }),
    incident({
      id: 'inc000000001',
      state: 'resolved',
      resolvedAt: new Date(NOON_MS),
      startedAt: new Date(NOON_MS - DAY_MS),
    }),
  ];
  await opened.page.publish();
  const copy = new ExportedCopy({
    directory: opened.exportDir,
    page: opened.page.page,
    clock: opened.clock,
    mark: 'test',
  });
  expect(await copy.round()).toBe(true);
  return { rig: opened, copy };
}

describe('the exported copy', () => {
  it('is complete: with the service stopped, every link of every page leads to something', async () => {
    const { rig: source } = await exported();
    await source.stopServing();
    const files = (await readdir(source.exportDir, { recursive: true, withFileTypes: true }))
      .filter((each) => each.isFile())
      .map((each) => relative(source.exportDir, join(each.parentPath, each.name)));
    expect(files.sort()).toEqual([
      'api/v2/components.json',
      'api/v2/incidents.json',
      'api/v2/incidents/unresolved.json',
      'api/v2/scheduled-maintenances.json',
      'api/v2/scheduled-maintenances/active.json',
      'api/v2/scheduled-maintenances/upcoming.json',
      'api/v2/status.json',
      'api/v2/summary.json',
      'history.atom',
      'history.rss',
      'history/index.html',
      'incidents/inc000000001/index.html',
      'incidents/inc000000002/index.html',
      'index.html',
      'status.css',
    ]);
    let links = 0;
    for (const page of files.filter((file) => file.endsWith('.html'))) {
      const html = await readFile(join(source.exportDir, page), 'utf8');
      for (const [, href] of html.matchAll(/(?:href|src)="([^"]*)"/g)) {
        links += 1;
        const [path = '', fragment] = (href ?? '').split('#');
        expect([page, href]).not.toEqual([page, expect.stringMatching(/^(?:\/|[a-z]+:)/)]);
        const target = path === '' ? page : normalize(join(dirname(page), path));
        expect([page, href, existsSync(join(source.exportDir, target))]).toEqual([page, href, true]);
        if (fragment === undefined) continue;
        const there = await readFile(join(source.exportDir, target), 'utf8');
        expect([page, href, there.includes(`id="${fragment}"`)]).toEqual([page, href, true]);
      }
    }
    expect(links).toBeGreaterThan(500);
    // Feeds and JSON name public addresses; a host that serves the copy there has each of them.
    for (const feed of ['history.atom', 'history.rss', 'api/v2/summary.json']) {
      const text = await readFile(join(source.exportDir, feed), 'utf8');
      for (const [, path = ''] of text.matchAll(/https:\/\/status\.example\.com\/?([^"<\s]*)/g)) {
        const target = join(source.exportDir, path);
        const file = (await stat(target)).isDirectory() ? join(target, 'index.html') : target;
        expect([path, existsSync(file)]).toEqual([path, true]);
      }
    }
  });

  it('says when it was written and from when on it is not to be believed, and is renewed every minute', async () => {
    const { rig: source, copy } = await exported();
    const read = async (): Promise<string> => textOf(await readFile(join(source.exportDir, 'index.html'), 'utf8'));
    expect(await read()).toContain(
      'This is a copy, written at 23 Nov 2026, 12:00 UTC. It is renewed every minute. If it is later than 23 Nov 2026, 12:05 UTC now, believe none of it: the state is unknown.',
    );
    source.clock.advance(MINUTE_MS - 1);
    expect(await copy.round()).toBe(false);
    source.clock.advance(1);
    await source.page.publish();
    expect(await copy.round()).toBe(true);
    expect(await read()).toContain('written at 23 Nov 2026, 12:01 UTC');
  });

  it('is written on each change', async () => {
    const { rig: source, copy } = await exported();
    source.clock.advance(1_000);
    await source.signals.report({ kind: 'inbox-gap', subject: 'x', facts: {}, evidence: '/' });
    await source.page.publish();
    expect(await copy.round()).toBe(true);
    expect(await readFile(join(source.exportDir, 'index.html'), 'utf8')).toContain(
      '<span>Partial outage: Intake</span>',
    );
  });

  it('says unknown while nobody publishes', async () => {
    const { rig: source, copy } = await exported();
    source.clock.advance(10 * MINUTE_MS);
    await copy.round();
    const text = textOf(await readFile(join(source.exportDir, 'index.html'), 'utf8'));
    expect(text).toContain('Partial outage: Intake; not everything else is known');
    expect(text).toContain('It could not be confirmed since 23 Nov 2026, 12:00 UTC');
  });

  it('leaves no half-written file, and no page of an incident that is listed no more', async () => {
    const { rig: source, copy } = await exported();
    source.clock.advance(MINUTE_MS);
    source.incidents = source.incidents.slice(0, 1);
    await source.page.publish();
    await copy.round();
    const files = await readdir(source.exportDir, { recursive: true });
    expect(files.filter((file) => file.endsWith('.tmp'))).toEqual([]);
    expect(files).not.toContain('incidents/inc000000001/index.html');
    expect(files).toContain('incidents/inc000000002/index.html');
  });
});
