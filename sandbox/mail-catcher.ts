import type { AddressInfo } from 'node:net';
import PostalMime from 'postal-mime';
import { SMTPServer } from 'smtp-server';
import type { Clock } from './clock.js';

export interface CaughtMail {
  atMs: number;
  from: string;
  to: string[];
  subject: string;
  text: string;
  messageId: string;
}

const KEPT_MAX = 500;
const MAIL_BYTES_MAX = 1_048_576;

/** A mail server that takes whatever comes, and keeps it to be looked at. */
export class MailCatcher {
  /** Oldest first. */
  readonly mails: CaughtMail[] = [];
  private server: SMTPServer | null = null;
  private port = 0;

  constructor(private readonly clock: Clock) {}

  get url(): string {
    return `smtp://127.0.0.1:${this.port}`;
  }

  get isDown(): boolean {
    return this.server === null;
  }

  async start(): Promise<void> {
    if (this.server !== null) return;
    const server = new SMTPServer({
      banner: 'Plumbline sandbox',
      disabledCommands: ['AUTH', 'STARTTLS'],
      disableReverseLookup: true,
      logger: false,
      size: MAIL_BYTES_MAX,
      closeTimeout: 500,
      onData: (stream, session, done) => {
        const chunks: Buffer[] = [];
        stream.on('data', (chunk: Buffer) => chunks.push(chunk));
        stream.on('end', () => {
          const to = session.envelope.rcptTo.map(({ address }) => address);
          this.keep(Buffer.concat(chunks), to).then(
            () => done(),
            () => done(new Error('This cannot be read as a mail')),
          );
        });
      },
    });
    server.on('error', () => undefined); // a client that hangs up in the middle
    await new Promise<void>((resolve, reject) => {
      server.server.once('error', reject);
      server.listen(this.port, '127.0.0.1', resolve);
    });
    this.server = server;
    this.port = (server.server.address() as AddressInfo).port; // a TCP server's address is never text
  }

  /** Connections are refused until it is started again, on the same port. */
  async stop(): Promise<void> {
    const { server } = this;
    this.server = null;
    if (server !== null) await new Promise<void>((resolve) => server.close(resolve));
  }

  private async keep(raw: Buffer, to: string[]): Promise<void> {
    const { from, subject, text, messageId } = await PostalMime.parse(raw);
    this.mails.push({
      atMs: this.clock.now(),
      from: from?.address ?? '',
      to,
      subject: subject ?? '',
      text: text ?? '',
      messageId: messageId ?? '',
    });
    if (this.mails.length > KEPT_MAX) this.mails.shift();
  }
}
