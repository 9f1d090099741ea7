import { createServer as createHttpServer, type RequestListener } from 'node:http';
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { AddressGuard } from '../../src/kernel/address-guard.js';
import { HttpOut, type HttpResult } from '../../src/kernel/http-out.js';

const closing: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0)) await close();
});

async function listen(server: Server): Promise<string> {
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => sockets.add(socket));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closing.push(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const http = (listener: RequestListener): Promise<string> => listen(createHttpServer(listener));

function client(): HttpOut {
  const out = new HttpOut(new AddressGuard(['127.0.0.0/8']), { connectTimeoutMs: 500 });
  closing.push(() => out.close());
  return out;
}

function post(
  url: string,
  over: { deadlineMs?: number; signal?: AbortSignal; out?: HttpOut } = {},
): Promise<HttpResult> {
  const { out = client(), ...rest } = over;
  return out.request({ method: 'POST', url, headers: { 'content-type': 'text/plain' }, body: 'hello', ...rest });
}

describe('HttpOut', () => {
  it('gives the answer with its headers and body, whatever the status', async () => {
    const url = await http((request, response) => {
      request.resume().on('end', () => response.writeHead(418, { 'X-Why': 'tea' }).end('short and stout'));
    });
    const answer = await post(url);
    expect(answer).toMatchObject({ kind: 'answer', status: 418, body: 'short and stout', complete: true });
    expect(answer).toHaveProperty('headers.x-why', 'tea');
  });

  it('follows no redirect', async () => {
    let requests = 0;
    const url = await http((_request, response) => {
      requests += 1;
      response.writeHead(307, { location: '/elsewhere' }).end();
    });
    expect(await post(url)).toMatchObject({ kind: 'answer', status: 307 });
    expect(requests).toBe(1);
  });

  it('keeps 64 KB of a body and lets go of the rest', async () => {
    const url = await http((_request, response) => {
      response.writeHead(200);
      response.write(Buffer.alloc(200_000, 'x'));
    });
    const answer = await post(url);
    expect(answer).toMatchObject({ kind: 'answer', status: 200, complete: false });
    expect(answer.kind === 'answer' && answer.body.length).toBe(65_536);
  });

  it('counts a status whose body stalls or is cut', async () => {
    const stalled = await http((_request, response) => {
      response.writeHead(200, { 'content-length': '100' });
      response.write('ab');
    });
    expect(await post(stalled)).toMatchObject({ kind: 'answer', status: 200, body: 'ab', complete: false });
    const cut = await http((_request, response) => {
      response.writeHead(200, { 'content-length': '100' });
      response.write('ab', () => response.destroy());
    });
    expect(await post(cut)).toMatchObject({ kind: 'answer', status: 200, complete: false });
  });

  it('calls a time-out after the request went out ambiguous', async () => {
    const url = await http(() => {});
    expect(await post(url, { deadlineMs: 100 })).toMatchObject({
      kind: 'ambiguous',
      detail: 'no answer within 100 ms',
    });
  });

  it('calls an abort after the request went out ambiguous, and before it no effect', async () => {
    const abort = new AbortController();
    const url = await http(() => abort.abort());
    expect(await post(url, { signal: abort.signal })).toMatchObject({ kind: 'ambiguous' });
    expect(await post(url, { signal: AbortSignal.abort() })).toMatchObject({ kind: 'no-effect', code: 'not-sent' });
  });

  it('calls a cut before any byte of the answer ambiguous, on a fresh and on a reused connection', async () => {
    let requests = 0;
    const url = await http((request, response) => {
      requests += 1;
      request.resume().on('end', () => (requests === 2 ? response.destroy() : response.end('ok')));
    });
    const out = client();
    expect(await post(url, { out })).toMatchObject({ kind: 'answer' });
    expect(await post(url, { out })).toMatchObject({ kind: 'ambiguous' });
    expect(requests).toBe(2);
  });

  it('calls garbage instead of HTTP ambiguous', async () => {
    const url = await listen(createServer((socket) => socket.end('it was a dark and stormy night\r\n\r\n')));
    expect(await post(url)).toMatchObject({ kind: 'ambiguous' });
  });

  it('calls a refused connection, an unknown name and a bad URL no effect', async () => {
    const server = createServer();
    const url = await listen(server);
    await new Promise((resolve) => server.close(resolve));
    expect(await post(url)).toMatchObject({ kind: 'no-effect', code: 'refused' });
    expect(await post('http://nowhere.invalid/')).toMatchObject({ kind: 'no-effect', code: 'dns' });
    expect(await post('ftp://127.0.0.1/')).toMatchObject({ kind: 'no-effect', code: 'url' });
    expect(await post('not a url')).toMatchObject({ kind: 'no-effect', code: 'url' });
  });

  it('calls a failed TLS handshake no effect', async () => {
    const url = await http((_request, response) => response.end());
    const result = await post(url.replace('http:', 'https:'));
    expect(result).toMatchObject({ kind: 'no-effect', code: 'tls' });
  });

  it('does not send what was given up while waiting for a connection', async () => {
    let requests = 0;
    const url = await http(() => {
      requests += 1;
    });
    const out = client();
    const held = Array.from({ length: 16 }, () => post(url, { out, deadlineMs: 600 }));
    const waiting = await post(url, { out, deadlineMs: 100 });
    expect(waiting).toMatchObject({ kind: 'no-effect', code: 'not-sent' });
    await Promise.all(held);
    expect(requests).toBe(16);
  });

  it.each([
    'http://127.0.0.1:1/',
    'http://[::1]:1/',
    'http://localhost:1/',
    'http://0x7f000001:1/',
    'http://2130706433:1/',
  ])('refuses %s without a permission', async (url) => {
    const out = new HttpOut(new AddressGuard([]));
    closing.push(() => out.close());
    expect(await post(url, { out })).toMatchObject({ kind: 'no-effect', code: 'address-refused' });
  });

  it('never tells a credential of the URL', async () => {
    const secret = 'sup3rs3cret';
    const results = [
      await post(`http://u:${secret}@127.0.0.1:1/?api_secret=${secret}`),
      await post(`ftp://u:${secret}@x/?api_secret=${secret}`),
      await post(`http://nowhere.invalid/?token=${secret}`),
    ];
    expect(JSON.stringify(results)).not.toContain(secret);
  });
});
