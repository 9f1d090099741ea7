import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { gzipSync } from 'node:zlib';
import { afterEach, describe, expect, it } from 'vitest';
import { AddressGuard } from '../../src/kernel/address-guard.js';
import type { HttpBody } from '../../src/kernel/http-body.js';
import { HttpOut, type HttpOpenRequest } from '../../src/kernel/http-out.js';
import { until } from '../support/until.js';

const closing: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0)) await close();
});

async function http(listener: RequestListener): Promise<string> {
  const server: Server = createServer(listener);
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => sockets.add(socket));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closing.push(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/file`;
}

function client(allowed: readonly string[] = ['127.0.0.0/8']): HttpOut {
  const out = new HttpOut(new AddressGuard(allowed), { connectTimeoutMs: 500 });
  closing.push(() => out.close());
  return out;
}

async function open(url: string, over: Partial<HttpOpenRequest> = {}): Promise<HttpBody> {
  const opened = await client().open({ url, headers: {}, ...over });
  if (opened.kind !== 'open') throw new Error(opened.detail);
  closing.push(() => opened.body.close());
  return opened.body;
}

async function all(body: HttpBody): Promise<{ text: string; end: 'end' | 'cut'; detail?: string }> {
  const chunks: Buffer[] = [];
  for (;;) {
    const next = await body.next();
    if (next.kind === 'chunk') chunks.push(next.bytes);
    else
      return {
        text: Buffer.concat(chunks).toString(),
        end: next.kind,
        ...('detail' in next && { detail: next.detail }),
      };
  }
}

describe('HttpOut.open', () => {
  it('gives the status and headers at once, and the body piece by piece', async () => {
    let goOn = (): void => undefined;
    const url = await http((request, response) => {
      expect(request.headers).toMatchObject({ range: 'bytes=3-', 'x-own': 'yes' });
      response.writeHead(206, { 'Content-Range': 'bytes 3-8/9' });
      response.write('abc');
      goOn = () => response.end('def');
    });
    const opened = await client().open({ url, headers: { range: 'bytes=3-', 'x-own': 'yes' } });
    expect(opened).toMatchObject({ kind: 'open', status: 206, headers: { 'content-range': 'bytes 3-8/9' } });
    if (opened.kind !== 'open') return;
    expect(await opened.body.next()).toEqual({ kind: 'chunk', bytes: Buffer.from('abc') });
    goOn();
    expect(await all(opened.body)).toEqual({ text: 'def', end: 'end' });
    expect(await opened.body.next()).toEqual({ kind: 'end' });
  });

  it('reads what is served compressed, and calls it cut when its end is missing', async () => {
    const packed = gzipSync('one\ntwo\n'.repeat(10_000));
    const url = await http((request, response) => {
      response.writeHead(200, { 'Content-Encoding': 'gzip' });
      response.end(request.url === '/file' ? packed : packed.subarray(0, packed.length - 8));
    });
    expect((await all(await open(url))).text).toHaveLength(80_000);
    expect(await all(await open(`${url}?cut`))).toMatchObject({ end: 'cut' });
  });

  it('does not guess at an encoding it does not know', async () => {
    const url = await http((_request, response) => {
      response.writeHead(200, { 'Content-Encoding': 'br' }).end('?');
    });
    expect(await client().open({ url, headers: {} })).toMatchObject({ kind: 'no-answer' });
  });

  it('calls a body cut that ends before its length, and keeps what came before', async () => {
    const url = await http((_request, response) => {
      response.writeHead(200, { 'Content-Length': '100' });
      response.write('half', () => response.socket?.end());
    });
    expect(await all(await open(url))).toMatchObject({ text: 'half', end: 'cut' });
  });

  it('calls a body cut that stalls, however long it went well before', async () => {
    const url = await http((_request, response) => {
      response.writeHead(200);
      let left = 6;
      const timer = setInterval(() => {
        response.write('.');
        if (--left === 0) clearInterval(timer);
      }, 50);
    });
    const body = await open(url, { idleMs: 150 });
    expect(await all(body)).toEqual({ text: '......', end: 'cut', detail: 'nothing came for 150 ms' });
  });

  it('is patient with a reader that takes its time: only waiting for the far side counts', async () => {
    const url = await http((_request, response) => {
      response.writeHead(200).end('x'.repeat(1_000_000));
    });
    const body = await open(url, { idleMs: 100 });
    const first = await body.next();
    await new Promise((resolve) => setTimeout(resolve, 300));
    const rest = await all(body);
    expect(rest.end).toBe('end');
    expect((first.kind === 'chunk' ? first.bytes.length : 0) + rest.text.length).toBe(1_000_000);
  });

  it('holds back the far side of a reader that does not read: memory is bounded', async () => {
    let written = 0;
    const url = await http((_request, response) => {
      response.writeHead(200);
      const write = (): void => {
        while (written < 500_000_000) {
          written += 1_000_000;
          if (!response.write(Buffer.alloc(1_000_000))) return void response.once('drain', write);
        }
      };
      write();
    });
    const body = await open(url);
    await body.next();
    let before = -1;
    // The sockets' buffers fill, and then nothing moves any more.
    await until(() => {
      const stands = written === before;
      before = written;
      return stands;
    });
    expect(written).toBeLessThan(50_000_000);
  });

  it('lets go of the connection when it is closed half-way', async () => {
    let gone = false;
    const url = await http((_request, response) => {
      response.on('close', () => (gone = true));
      response.writeHead(200).write('x');
    });
    const body = await open(url);
    await body.next();
    body.close();
    await until(() => gone);
    expect(await body.next()).toMatchObject({ kind: 'cut' });
  });

  it('ends within the deadline when no answer comes, or when the caller gives up', async () => {
    const silent = await http(() => undefined);
    expect(await client().open({ url: silent, headers: {}, deadlineMs: 100 })).toEqual({
      kind: 'no-answer',
      code: null,
      detail: 'no answer within 100 ms',
    });
    const abort = new AbortController();
    const url = await http(() => abort.abort());
    expect(await client().open({ url, headers: {}, signal: abort.signal })).toMatchObject({ kind: 'no-answer' });
    const aborted = { url, headers: {}, signal: AbortSignal.abort() };
    expect(await client().open(aborted)).toMatchObject({ kind: 'no-answer' });
  });

  it('follows no redirect, and goes nowhere the guard forbids', async () => {
    let requests = 0;
    const url = await http((_request, response) => {
      requests += 1;
      response.writeHead(302, { Location: '/elsewhere' }).end();
    });
    expect(await client().open({ url, headers: {} })).toMatchObject({ kind: 'open', status: 302 });
    expect(requests).toBe(1);
    expect(await client([]).open({ url, headers: {} })).toMatchObject({ kind: 'no-answer', code: 'address-refused' });
    expect(await client().open({ url: 'file:///etc/passwd', headers: {} })).toMatchObject({ code: 'url' });
  });

  it('never tells a credential of the URL', async () => {
    const secret = 'sup3rs3cret';
    const results = [
      await client([]).open({ url: `http://127.0.0.1:1/x?X-Goog-Signature=${secret}`, headers: {} }),
      await client().open({ url: `http://127.0.0.1:1/x?X-Goog-Signature=${secret}`, headers: {} }),
      await client().open({ url: `http://nowhere.invalid/x?token=${secret}`, headers: {} }),
    ];
    expect(JSON.stringify(results)).not.toContain(secret);
  });
});
