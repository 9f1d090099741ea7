import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { AddressGuard } from '../../../src/kernel/address-guard.js';
import { HttpOut } from '../../../src/kernel/http-out.js';
import type { OpenedFile } from '../../../src/pipeline/contract.js';
import { ResultFiles } from '../../../src/pipeline/shopify/result-files.js';
import { shopStub } from '../../support/shop-stub.js';

const TEXT = 'zero\none\ntwo\n';
const SHOP = shopStub({ accessToken: 'shpat_secret' });

let serve: (request: IncomingMessage, response: ServerResponse) => void;
let asked: IncomingHttpHeaders[];
let url: string;
const server = createServer((request, response) => {
  asked.push(request.headers);
  serve(request, response);
});
let http: HttpOut;
let files: ResultFiles;

beforeEach(async () => {
  asked = [];
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/result.jsonl?signature=s3cret`;
  http = new HttpOut(new AddressGuard(['127.0.0.0/8']));
  files = new ResultFiles({ real: http, sandbox: http });
});

afterEach(async () => {
  await http.close();
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

async function read(opened: OpenedFile): Promise<string> {
  if (opened.outcome !== 'open') return `${opened.outcome}: ${opened.detail}`;
  const chunks: Buffer[] = [];
  for (;;) {
    const next = await opened.body.next();
    if (next.kind === 'chunk') chunks.push(next.bytes);
    else return Buffer.concat(chunks).toString() + (next.kind === 'cut' ? `CUT: ${next.detail}` : '');
  }
}

const ranged = (request: IncomingMessage, response: ServerResponse): void => {
  const from = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1]);
  if (Number.isNaN(from)) return void response.end(TEXT);
  response.writeHead(206, { 'content-range': `bytes ${from}-${TEXT.length - 1}/${TEXT.length}` });
  response.end(TEXT.slice(from));
};
const packed = (_request: IncomingMessage, response: ServerResponse): void => {
  response.writeHead(200, { 'content-encoding': 'gzip' }).end(gzipSync(TEXT));
};

describe('a result file', () => {
  it.each([
    ['by range', ranged],
    [
      'whole, where the storage knows no ranges',
      (_request: IncomingMessage, response: ServerResponse) => response.end(TEXT),
    ],
    ['whole and compressed, whatever is asked', packed],
    [
      'another part than was asked for',
      (request: IncomingMessage, response: ServerResponse) => {
        if (request.headers.range === undefined) return response.end(TEXT);
        return response.writeHead(206, { 'content-range': 'bytes 2-4/13' }).end('ro\n');
      },
    ],
    [
      'a part of the compressed bytes',
      (request: IncomingMessage, response: ServerResponse) => {
        if (request.headers.range === undefined) return packed(request, response);
        response.writeHead(206, { 'content-encoding': 'gzip', 'content-range': 'bytes 5-12/13' });
        return response.end(gzipSync('one\n'));
      },
    ],
  ])('begins at the byte asked for: %s', async (_how, served) => {
    serve = served;
    expect(await read(await files.open(SHOP, url, 0))).toBe(TEXT);
    expect(await read(await files.open(SHOP, url, 5))).toBe(TEXT.slice(5));
  });

  it('that is shorter than it was is cut, not ended', async () => {
    serve = packed;
    expect(await read(await files.open(SHOP, url, 500))).toContain('CUT');
  });

  it('is asked for without the token of the shop', async () => {
    serve = ranged;
    await read(await files.open(SHOP, url, 5));
    expect(Object.keys(asked[0] ?? {}).sort()).toEqual(['accept-encoding', 'connection', 'host', 'range']);
  });

  it.each([
    [403, 'gone'],
    [404, 'gone'],
    [416, 'gone'],
    [302, 'later'],
    [503, 'later'],
  ])('answered %i is %s, and tells no signature', async (status, outcome) => {
    serve = (_request, response) => response.writeHead(status, { location: '/x' }).end('<Error/>');
    const opened = await files.open(SHOP, url, 0);
    expect(opened).toEqual({ outcome, detail: `the storage answered HTTP ${status}` });
  });

  it('whose address may not be called is refused; one that does not answer is for later', async () => {
    const guarded = new HttpOut(new AddressGuard([]));
    const inside = await new ResultFiles({ real: guarded, sandbox: guarded }).open(SHOP, url, 0);
    await guarded.close();
    expect(inside).toMatchObject({ outcome: 'refused' });
    const away = await files.open(SHOP, 'http://127.0.0.1:1/x?signature=s3cret', 0);
    expect(away).toMatchObject({ outcome: 'later' });
    expect(JSON.stringify([inside, away])).not.toContain('s3cret');
  });
});
