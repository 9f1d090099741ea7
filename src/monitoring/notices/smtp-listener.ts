import { SMTPServer } from 'smtp-server';
import { messageOf } from '../../kernel/errors.js';
import type { Logger } from '../../kernel/log.js';
import type { InboundAnswer } from '../contract.js';

export const MAIL_BYTES_MAX = 4 * 1024 * 1024;
const CLIENTS_MAX = 20;
const IDLE_MS = 30_000;
const MAIL_WITHIN_MS = 60_000; // from DATA to the final dot
const CLOSE_WITHIN_MS = 2_000;
const RECIPIENTS_MAX = 10;

/**
 * A mail server that keeps nothing but what it is told, for a real one beside it that hands mails on. It offers no
 * login, relays nothing, and says 250 only once the mail is durable; 451 lets the sender keep it and come again.
 */
export class SmtpListener {
  private server: SMTPServer | null = null;

  constructor(
    private readonly options: {
      host: string;
      port: number;
      take: (raw: Buffer) => Promise<InboundAnswer>;
      log: Logger;
    },
  ) {}

  /** The port that it listens on; `null` = it does not. */
  get port(): number | null {
    const address = this.server?.server.address();
    return typeof address === 'object' && address !== null ? address.port : null;
  }

  /** Listens, if it does not yet. @throws Error when the address cannot be had */
  async open(): Promise<void> {
    if (this.server) return;
    const { host, port, log } = this.options;
    const server = new SMTPServer({
      banner: 'Plumbline notices',
      disabledCommands: ['AUTH', 'STARTTLS'],
      disableReverseLookup: true,
      logger: false,
      size: MAIL_BYTES_MAX,
      maxClients: CLIENTS_MAX,
      socketTimeout: IDLE_MS,
      closeTimeout: CLOSE_WITHIN_MS,
      onRcptTo: (_address, session, done) => {
        const isTooMany = session.envelope.rcptTo.length >= RECIPIENTS_MAX;
        done(isTooMany ? smtpError(452, 'Too many recipients') : null);
      },
      onData: (stream, _session, done) => {
        const chunks: Buffer[] = [];
        let bytes = 0;
        let isLate = false;
        const timer = setTimeout(() => {
          isLate = true;
          stream.destroy(smtpError(421, 'The mail did not come in time'));
        }, MAIL_WITHIN_MS);
        stream.on('data', (chunk: Buffer) => {
          bytes += chunk.length;
          // The server counts too; what is over is read to its end and dropped.
          if (bytes <= MAIL_BYTES_MAX) chunks.push(chunk);
          else chunks.length = 0;
        });
        stream.once('error', (error) => {
          clearTimeout(timer);
          if (isLate) done(error);
        });
        stream.once('end', () => {
          clearTimeout(timer);
          if (stream.sizeExceeded || bytes > MAIL_BYTES_MAX) return done(smtpError(552, 'The mail is too large'));
          void this.options.take(Buffer.concat(chunks)).then(
            ({ status, detail }) => {
              if (status === 200) done(null, 'stored');
              else done(smtpError(status === 503 ? 451 : 554, detail));
            },
            (error: unknown) => done(smtpError(451, messageOf(error))),
          );
        });
      },
    });
    // A client that breaks off ends here; unheard, it would end the process.
    server.on('error', (error: Error) => log.debug({ err: error }, 'a mail client broke off'));
    await new Promise<void>((resolve, reject) => {
      server.server.once('error', reject);
      server.listen(port, host, () => {
        server.server.off('error', reject);
        resolve();
      });
    });
    server.server.once('close', () => {
      if (this.server === server) this.server = null;
    });
    this.server = server;
    log.info({ host, port: this.port }, 'taking mails by SMTP');
  }

  async close(): Promise<void> {
    const { server } = this;
    if (!server) return;
    this.server = null;
    await new Promise<void>((resolve) => server.close(resolve));
  }
}

function smtpError(responseCode: number, message: string): Error {
  return Object.assign(new Error(message), { responseCode });
}
