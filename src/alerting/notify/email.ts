import { createTransport } from 'nodemailer';
import { rootCertificates } from 'node:tls';
import type { Clock } from '../../kernel/clock.js';
import { messageOf } from '../../kernel/errors.js';
import { redactText } from '../../kernel/log.js';
import type { SecondChannelSettings } from '../config.js';
import type { Sent } from './notification.js';
import type { Message, SecondChannel } from './second-channel.js';

const STEP_MS = 5_000; // for each of: name, connection, greeting; a mail server that is well needs a second
const DEADLINE_MS = 15_000;

/** Mail, as plain text: it is read on a phone at night, and in terminals. */
export class Email implements SecondChannel {
  readonly recipient = 'email';
  private readonly transport: ReturnType<typeof createTransport>;
  private readonly password: string;

  constructor(
    private readonly options: {
      settings: Omit<Extract<SecondChannelSettings, { kind: 'email' }>, 'kind' | 'caFile'>;
      /** PEM, trusted besides the usual ones. */
      ca: string | null;
      clock: Clock;
    },
  ) {
    const { settings, ca } = options;
    const url = new URL(settings.url);
    this.password = decodeURIComponent(url.password);
    this.transport = createTransport({
      host: url.hostname,
      port: url.port === '' ? (url.protocol === 'smtps:' ? 465 : 587) : Number(url.port),
      secure: url.protocol === 'smtps:',
      // A password goes over no open line.
      requireTLS: url.protocol === 'smtp:' && url.username !== '',
      ...(url.username === '' ? {} : { auth: { user: decodeURIComponent(url.username), pass: this.password } }),
      ...(ca === null ? {} : { tls: { ca: [...rootCertificates, ca] } }),
      dnsTimeout: STEP_MS,
      connectionTimeout: STEP_MS,
      greetingTimeout: STEP_MS,
      socketTimeout: DEADLINE_MS,
      disableFileAccess: true,
      disableUrlAccess: true,
    });
  }

  fits(): boolean {
    return true;
  }

  async tell(message: Message, signal: AbortSignal): Promise<Sent> {
    const { settings, clock } = this.options;
    const domain = settings.from.split('@')[1] ?? 'plumbline.invalid';
    const sending = this.transport
      .sendMail({
        from: { name: 'Plumbline', address: settings.from },
        to: settings.to,
        subject: message.title,
        text: textOf(message),
        date: clock.now(),
        messageId: `<${message.id}@${domain}>`,
        headers: { 'Auto-Submitted': 'auto-generated', 'X-Priority': '1' },
      })
      .then((): Sent => ({ outcome: 'taken' }))
      // The last way there is: nothing is refused for good, whatever the server says.
      .catch((error: unknown): Sent => ({ outcome: 'failed', answered: false, detail: this.reasonOf(error) }));
    const end = ended(signal);
    return Promise.race([sending, end.sent]).finally(end.forget);
  }

  close(): void {
    this.transport.close();
  }

  private reasonOf(error: unknown): string {
    const text = redactText(messageOf(error));
    return this.password === '' ? text : text.replaceAll(this.password, '[redacted]');
  }
}

function textOf({ lines, links }: Message): string {
  return [...lines, '', ...links.map(({ href, text }) => `${text}: ${href}`), ''].join('\n');
}

/** Nodemailer's own limits are for a step each: a server that answers a little now and then would hold up all others. */
function ended(signal: AbortSignal): { sent: Promise<Sent>; forget: () => void } {
  const { promise, resolve } = Promise.withResolvers<Sent>();
  const end = (detail: string) => (): void => resolve({ outcome: 'failed', answered: false, detail });
  const onAbort = end('the caller gave up');
  const timer = setTimeout(end(`the mail server did not take it within ${DEADLINE_MS} ms`), DEADLINE_MS);
  timer.unref();
  signal.addEventListener('abort', onAbort, { once: true });
  // The signal is of a whole round and outlives the mail.
  const forget = (): void => {
    clearTimeout(timer);
    signal.removeEventListener('abort', onAbort);
  };
  return { sent: promise, forget };
}
