import type { Clock } from '../clock.js';
import type { Numbers } from './numbers.js';
import { Postman } from './post.js';
import type { Mail } from './webhook-sender.js';

/** How a mail is signed, as the provider would find it. `forged`: by somebody, but not by its author. */
export type Signature = 'shopify' | 'forged';

/** Postmark repeats for ten hours; a sandbox is not looked at for so long. */
const RETRY_SECONDS = [1, 5, 15, 60, 300] as const;
/** Mails that wait to be handed in. Past it the newest is given up: it is a warning among hundreds. */
const WAITING_MAX = 500;

/**
 * Hands in the mails that Shopify sends, as the mail provider Postmark does: JSON to an address that is a secret.
 * Source of the shape: postmarkapp.com/developer/webhooks/inbound-webhook. Who signed a mail is found by Postmark's
 * SpamAssassin: `DKIM_VALID_AU` is a valid signature of the author's own domain.
 */
export class Mailer {
  private readonly postman = new Postman(2);
  private readonly waiting = new Set<() => void>();
  private isStopped = false;
  /** Answered 2xx. */
  handedIn = 0;
  /** Answered otherwise, or given up. */
  lost = 0;

  constructor(
    private readonly to: string,
    private readonly clock: Clock,
    private readonly numbers: Numbers,
  ) {}

  send(mail: Pick<Mail, 'subject' | 'body' | 'atMs'>, signature: Signature = 'shopify'): void {
    const body = Buffer.from(JSON.stringify(inbound(mail, this.numbers.uuid(), signature)));
    this.attempt(body, 0);
  }

  stop(): void {
    this.isStopped = true;
    for (const cancel of this.waiting) cancel();
    this.waiting.clear();
    this.postman.close();
  }

  private attempt(body: Buffer, attempts: number): void {
    if (this.isStopped) return;
    void this.postman.post(this.to, { 'Content-Type': 'application/json' }, body).then((answer) => {
      if (this.isStopped) return;
      const status = answer.outcome === 'answered' ? answer.status : 0;
      if (status >= 200 && status < 300) this.handedIn += 1;
      else this.later(body, attempts, status);
    });
  }

  private later(body: Buffer, attempts: number, status: number): void {
    const seconds = RETRY_SECONDS[attempts];
    // 403 tells Postmark to stop; everything else it repeats.
    if (seconds === undefined || status === 403 || this.waiting.size >= WAITING_MAX) {
      this.lost += 1;
      return;
    }
    const cancel = this.clock.after(seconds * 1_000, () => {
      this.waiting.delete(cancel);
      this.attempt(body, attempts + 1);
    });
    this.waiting.add(cancel);
  }
}

function inbound(
  { subject, body, atMs }: Pick<Mail, 'subject' | 'body' | 'atMs'>,
  id: string,
  signature: Signature,
): object {
  const to = 'shopify@inbound.sandbox.test';
  const person = (Email: string, Name: string) => ({ Email, Name, MailboxHash: '' });
  const tests = ['DKIM_SIGNED', 'DKIM_VALID', ...(signature === 'shopify' ? ['DKIM_VALID_AU'] : []), 'SPF_PASS'];
  return {
    FromName: 'Shopify',
    MessageStream: 'inbound',
    From: 'mailer@shopify.com',
    FromFull: person('mailer@shopify.com', 'Shopify'),
    To: to,
    ToFull: [person(to, '')],
    Cc: '',
    CcFull: [],
    Bcc: '',
    BccFull: [],
    OriginalRecipient: to,
    Subject: subject,
    MessageID: id,
    ReplyTo: '',
    MailboxHash: '',
    Date: new Date(atMs).toUTCString(),
    TextBody: body,
    HtmlBody: '',
    StrippedTextReply: '',
    Tag: '',
    Headers: [
      { Name: 'Return-Path', Value: '<bounce@shopify.com>' },
      { Name: 'Received', Value: 'by inbound.sandbox.test (Postfix, from userid 996)' },
      { Name: 'X-Spam-Checker-Version', Value: 'SpamAssassin 3.4.0' },
      { Name: 'X-Spam-Status', Value: 'No' },
      { Name: 'X-Spam-Score', Value: '-0.1' },
      { Name: 'X-Spam-Tests', Value: tests.join(',') },
      { Name: 'Received-SPF', Value: 'Pass (sender SPF authorized) identity=mailfrom' },
      { Name: 'Message-ID', Value: `<${id}@shopify.com>` },
    ],
    Attachments: [],
  };
}
