import { connect, createServer, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ConsoleApp, NOON_MS } from '../../console/console-app.js';
import { until } from '../../support/until.js';
import { DkimKey } from './dkim-key.js';
import { mailOf, removedText } from './sample-mails.js';

const key = new DkimKey();
let app: ConsoleApp;
let loop: ReturnType<ConsoleApp['notices']['loops']>[number];
let keyIsAway = false;

beforeEach(async () => {
  keyIsAway = false;
  app = await ConsoleApp.open({
    notices: {
      settings: { shopifySenders: ['shopify.com'], snsTopicArns: [], smtp: { host: '127.0.0.1', port: 0 } },
      secrets: [],
      lookUpTxt: () =>
        keyIsAway
          ? Promise.reject(Object.assign(new Error('queryTxt ETIMEOUT'), { code: 'ETIMEOUT' }))
          : Promise.resolve([[key.record]]),
    },
  });
  [loop] = app.notices.loops() as [typeof loop];
  loop.start();
  await until(() => app.notices.smtp?.port);
});
afterEach(async () => {
  await loop.stop();
  await app.notices.close();
  await app.close();
});

/** Speaks SMTP (RFC 5321) line by line. */
class Client {
  private readonly socket: Socket;
  private heard = '';

  constructor(port: number) {
    this.socket = connect(port, '127.0.0.1');
    this.socket.on('data', (chunk) => (this.heard += chunk.toString()));
    this.socket.on('error', () => undefined);
  }

  /** @returns the last line of the answer */
  async answer(): Promise<string> {
    return until(() => {
      const end = /^(\d{3} [^\r]*)\r\n/m.exec(this.heard);
      if (end) this.heard = this.heard.slice((end.index ?? 0) + end[0].length);
      return end?.[1];
    });
  }

  async say(text: string): Promise<string> {
    this.socket.write(`${text}\r\n`);
    return this.answer();
  }

  async hand(mail: Buffer): Promise<string> {
    await this.answer();
    await this.say('EHLO mx.example.com');
    await this.say('MAIL FROM:<bounce@shopify.com>');
    await this.say('RCPT TO:<dev@example.com>');
    await this.say('DATA');
    return this.say(`${mail.toString('latin1').replace(/^\./gm, '..')}\r\n.`);
  }

  end(): void {
    this.socket.destroy();
  }
}

async function hand(mail: Buffer): Promise<string> {
  const client = new Client(app.notices.smtp?.port ?? 0);
  try {
    return await client.hand(mail);
  } finally {
    client.end();
  }
}

const removed = () => key.sign(mailOf({ text: removedText() }), { at: new Date(NOON_MS - 60_000) });
const notices = async () => (await app.notices.book.notices({}, { limit: 10 })).items;

describe('a mail by SMTP', () => {
  it('is stored before it is taken, and believed when its signature is good', async () => {
    expect(await hand(await removed())).toMatch(/^250 /);
    expect(await notices()).toMatchObject([
      { provider: 'smtp', world: 'real', class: 'removed', topic: 'orders/create', trust: 'DKIM checked here' },
    ]);
  });

  it('has no effect without a good signature', async () => {
    expect(await hand(mailOf({ text: removedText() }))).toMatch(/^250 /);
    const forged = await key.sign(mailOf({ text: removedText() }), { at: new Date(NOON_MS), domain: 'evil.example' });
    expect(await hand(forged)).toMatch(/^250 /);
    expect(await notices()).toMatchObject([{ class: 'untrusted', count: 2 }]);
  });

  it('stays with its sender while the signature cannot be checked, or nothing can be stored', async () => {
    keyIsAway = true;
    expect(await hand(await removed())).toMatch(/^451 /);
    keyIsAway = false;
    await app.db.database.query('alter table monitoring.notice rename to notice_away');
    expect(await hand(await removed())).toMatch(/^451 /);
    await app.db.database.query('alter table monitoring.notice_away rename to notice');
    expect(await notices()).toEqual([]);
    expect(await hand(await removed())).toMatch(/^250 /);
    expect(await notices()).toHaveLength(1);
  });

  it('is refused when it is too large, and nothing else is offered', async () => {
    const client = new Client(app.notices.smtp?.port ?? 0);
    await client.answer();
    expect(await client.say('EHLO mx.example.com')).not.toMatch(/AUTH|STARTTLS/);
    expect(await client.say('AUTH PLAIN AAAA')).toMatch(/^5/);
    expect(await client.say(`MAIL FROM:<a@b.example> SIZE=${5 * 1024 * 1024}`)).toMatch(/^552 /);
    client.end();
    const large = Buffer.concat([mailOf(), Buffer.alloc(4 * 1024 * 1024, 'x\r\n')]);
    expect(await hand(large)).toMatch(/^552 /);
    expect(await notices()).toEqual([]);
  });

  it('that breaks off is nothing, and the next is taken', async () => {
    const client = new Client(app.notices.smtp?.port ?? 0);
    await client.answer();
    await client.say('EHLO mx.example.com');
    client.end();
    expect(await hand(await removed())).toMatch(/^250 /);
    expect(await notices()).toHaveLength(1);
  });
});

it('waits for an address that another program has, and says so meanwhile', async () => {
  const other = createServer();
  const port = await new Promise<number>((resolve) => {
    other.listen(0, '127.0.0.1', () => resolve((other.address() as { port: number }).port));
  });
  const late = await ConsoleApp.open({
    databaseAway: true,
    notices: {
      settings: { shopifySenders: ['shopify.com'], snsTopicArns: [], smtp: { host: '127.0.0.1', port } },
      secrets: [],
    },
  });
  const [listener] = late.notices.loops() as [typeof loop];
  listener.start();
  await until(() => listener.health().state === 'failing');
  expect(listener.health().lastError).toContain('EADDRINUSE');
  await new Promise((resolve) => other.close(resolve));
  listener.wake();
  await until(() => late.notices.smtp?.port === port, { timeoutMs: 15_000 });
  await listener.stop();
  await late.notices.close();
  await late.close();
});
