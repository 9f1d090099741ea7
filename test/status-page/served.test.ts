import { request } from 'node:http';
import { brotliDecompressSync, gunzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { bestEncoding, isStatusPath } from '../../src/status-page/door.js';
import { incident, MINUTE_MS, PageRig } from './page-rig.js';

interface Answer {
  status: number;
  headers: Record<string, string | string[] | undefined>;
  body: Buffer;
}

/** As fetch, but with nothing added and nothing unpacked. */
function bare(url: string, headers: Record<string, string> = {}, method = 'GET'): Promise<Answer> {
  return new Promise((resolve, reject) => {
    request(url, { method, headers }, (res) => {
      const chunks: Buffer[] = [];
      res.on('data', (chunk: Buffer) => chunks.push(chunk));
      res.on('end', () => resolve({ status: res.statusCode ?? 0, headers: res.headers, body: Buffer.concat(chunks) }));
    })
      .on('error', reject)
      .end();
  });
}

describe('what is served', () => {
  let rig: PageRig;

  beforeAll(async () => {
    rig = await PageRig.open();
    rig.proveAll();
    rig.sell();
    rig.incidents = [incident({})];
    await rig.page.publish();
  });
  afterAll(() => rig.close());

  it.each([
    ['', 'text/html'],
    ['/', 'text/html'],
    ['?from=mail', 'text/html'],
    ['/history', 'text/html'],
    ['/incidents/inc000000001', 'text/html'],
    ['/status.css', 'text/css'],
    ['/history.atom', 'application/atom+xml'],
    ['/history.rss', 'application/rss+xml'],
    ['/api/v2/summary.json', 'application/json'],
    ['/api/v2/scheduled-maintenances/active.json', 'application/json'],
  ])('/status%s as %s, to anybody, for seconds', async (path, type) => {
    const { status, headers } = await bare(`${rig.url}${path}`);
    expect(status).toBe(200);
    expect(headers['content-type']).toBe(`${type}; charset=utf-8`);
    expect(headers).toMatchObject({
      'access-control-allow-origin': '*',
      'cache-control': 'public, max-age=10, must-revalidate',
      'x-content-type-options': 'nosniff',
      vary: 'accept-encoding',
    });
    expect(headers['set-cookie']).toBeUndefined();
  });

  it.each([
    '/nothing',
    '/incidents/inc000000009',
    '/incidents/%2e%2e%2f%2e%2e%2fsecret',
    '/api/v2/nothing.json',
    '/api/v2/__proto__',
    '/api/v2/',
  ])('nothing at /status%s: 404', async (path) => {
    expect((await bare(`${rig.url}${path}`)).status).toBe(404);
  });

  it('leaves everything that only begins like /status to others', async () => {
    expect((await bare(rig.url.replace('/status', '/statuses'))).status).toBe(418);
    expect(isStatusPath('/status?x')).toBe(true);
    expect(isStatusPath('/api/v1/status')).toBe(false);
  });

  it('is not asked again while it has not changed: 304', async () => {
    const first = await bare(`${rig.url}/api/v2/summary.json`);
    const etag = String(first.headers['etag']);
    const again = await bare(`${rig.url}/api/v2/summary.json`, { 'if-none-match': `"other", ${etag}` });
    expect([again.status, again.body.length]).toEqual([304, 0]);
    expect(again.headers['etag']).toBe(etag);
    expect(again.headers['access-control-allow-origin']).toBe('*');
    // Confirmed again, and nothing new to say.
    rig.clock.advance(MINUTE_MS);
    await rig.page.publish();
    expect((await bare(`${rig.url}/api/v2/summary.json`, { 'if-none-match': etag })).status).toBe(304);
    expect((await bare(`${rig.url}/api/v2/summary.json`, { 'if-none-match': '"other"' })).status).toBe(200);
  });

  it('comes in the encoding that was asked for', async () => {
    const plain = await bare(rig.url);
    const gzip = await bare(rig.url, { 'accept-encoding': 'gzip, deflate' });
    const brotli = await bare(rig.url, { 'accept-encoding': 'gzip, deflate, br' });
    expect(gzip.headers['content-encoding']).toBe('gzip');
    expect(brotli.headers['content-encoding']).toBe('br');
    expect(gunzipSync(gzip.body).equals(plain.body)).toBe(true);
    expect(brotliDecompressSync(brotli.body).equals(plain.body)).toBe(true);
    expect(brotli.body.length).toBeLessThan(plain.body.length / 4);
    expect(bestEncoding('br;q=0, gzip;q=0.5')).toBe('gzip');
    expect(bestEncoding('identity')).toBeNull();
  });

  it('answers HEAD without a body, OPTIONS with what is allowed, and refuses the rest', async () => {
    const head = await bare(rig.url, {}, 'HEAD');
    expect([head.status, head.body.length]).toEqual([200, 0]);
    expect(Number(head.headers['content-length'])).toBeGreaterThan(1_000);
    const options = await bare(rig.url, {}, 'OPTIONS');
    expect([options.status, options.headers['access-control-allow-methods']]).toEqual([204, 'GET, HEAD, OPTIONS']);
    expect((await bare(rig.url, {}, 'POST')).status).toBe(405);
  });

  it('has no script and asks for nothing but its style sheet', async () => {
    const { headers, body } = await bare(rig.url);
    expect(headers['content-security-policy']).toMatch(/^default-src 'none'; style-src 'self';/);
    expect(body.toString()).not.toMatch(/<script|style="|\son[a-z]+=|https?:\/\/(?!status\.example\.com)/);
    const style = /href="(\/status\/status\.css\?v=[0-9a-f]+)"/.exec(body.toString())?.[1] ?? '';
    const sheet = await bare(new URL(style, rig.url).href);
    expect([sheet.status, sheet.headers['cache-control']]).toEqual([200, 'public, max-age=31536000, immutable']);
  });
});
