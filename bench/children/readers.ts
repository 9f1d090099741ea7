import { Socket } from 'node:net';
import { sharedNowMs } from '../machine.js';
import { answer } from '../rpc.js';
import { quantile } from '../statistics.js';

export interface ReadersResult {
  seconds: number;
  answered: number;
  failed: number;
  p50Ms: number;
  p99Ms: number;
}

export type ReadersApi = {
  /** Many readers, each asking again as soon as it is answered. */
  begin: { takes: { port: number; path: string; connections: number }; gives: void };
  mark: { takes: null; gives: void };
  end: { takes: null; gives: ReadersResult };
};

/** One keep-alive connection that asks for one page after the other. */
class Reader {
  private readonly socket = new Socket();
  private left = -1;
  private head = '';
  private isGood = false;
  private askedAtMs = 0;

  constructor(
    port: number,
    private readonly request: Buffer,
    private readonly heard: (isGood: boolean, ms: number) => void,
  ) {
    this.socket.setNoDelay(true);
    this.socket.on('data', (chunk) => this.hear(chunk));
    this.socket.on('error', () => undefined);
    this.socket.connect(port, '127.0.0.1', () => this.ask());
  }

  close(): void {
    this.socket.destroy();
  }

  private ask(): void {
    this.left = -1;
    this.head = '';
    this.askedAtMs = sharedNowMs();
    this.socket.write(this.request);
  }

  /** The body is only counted: it is the same for every contender. */
  private hear(chunk: Buffer): void {
    let bodyBytes = chunk.length;
    if (this.left < 0) {
      this.head += chunk.toString('latin1');
      const end = this.head.indexOf('\r\n\r\n');
      if (end < 0) return;
      this.isGood = this.head.startsWith('HTTP/1.1 200');
      this.left = Number(/\r\ncontent-length: *(\d+)/i.exec(this.head)?.[1] ?? 0);
      bodyBytes = this.head.length - end - 4;
    }
    this.left -= bodyBytes;
    if (this.left > 0) return;
    this.heard(this.isGood, sharedNowMs() - this.askedAtMs);
    this.ask();
  }
}

let readers: Reader[] = [];
let latencies: number[] = [];
let failed = 0;
let markedMs = 0;

function forget(): void {
  latencies = [];
  failed = 0;
  markedMs = sharedNowMs();
}

answer<ReadersApi>({
  begin({ port, path, connections }) {
    const request = Buffer.from(
      `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept-Encoding: gzip, deflate, br\r\n\r\n`,
    );
    forget();
    const heard = (isGood: boolean, ms: number): void => {
      latencies.push(ms);
      if (!isGood) failed += 1;
    };
    readers = Array.from({ length: connections }, () => new Reader(port, request, heard));
  },
  mark: () => forget(),
  end() {
    const seconds = (sharedNowMs() - markedMs) / 1_000;
    for (const reader of readers) reader.close();
    readers = [];
    return {
      seconds,
      answered: latencies.length,
      failed,
      p50Ms: quantile(latencies, 0.5),
      p99Ms: quantile(latencies, 0.99),
    };
  },
});
