import { createHmac, createSign } from 'node:crypto';
import PostalMime from 'postal-mime';

/** A mail in the shape in which a provider posts it. */
export interface Posted {
  provider: string;
  contentType: string;
  body: Buffer;
  /** What the address ends in, after the secret. */
  end?: string;
}

/** Whether the provider has found the author's own signature, or only somebody's. */
export type Found = 'aligned' | 'valid' | 'nothing';

export const MAILGUN_KEY = 'mailgun-signing-key';
export const TOPIC_ARN = 'arn:aws:sns:us-east-1:012345678912:inbound';

/** Fields are those that may be changed before they are posted. */
type Fields = Record<string, string>;

// Source of each shape: docs/notices.md, "The shapes".

export async function postmark(
  raw: Buffer,
  options: { found?: Found; id?: string; withRaw?: boolean; above?: string[]; below?: string[] } = {},
): Promise<Posted> {
  const { found = 'aligned', id = '73e6d360-66eb-11e1-8e72-a8206ea7d300', withRaw = false } = options;
  const mail = await PostalMime.parse(raw);
  const tests = {
    aligned: 'DKIM_SIGNED,DKIM_VALID,DKIM_VALID_AU,SPF_PASS',
    valid: 'DKIM_SIGNED,DKIM_VALID,SPF_PASS',
    nothing: 'HTML_MESSAGE,SPF_FAIL',
  };
  const list = (names: readonly string[]) => names.map((Name) => ({ Name, Value: tests.aligned }));
  const address = mail.from?.address ?? '';
  return json('postmark', {
    FromName: mail.from?.name ?? '',
    MessageStream: 'inbound',
    From: address,
    FromFull: { Email: address, Name: mail.from?.name ?? '', MailboxHash: '' },
    To: 'shopify@inbound.example.com',
    OriginalRecipient: 'shopify@inbound.example.com',
    Subject: mail.subject ?? '',
    MessageID: id,
    Date: mail.date ?? '',
    TextBody: mail.text ?? '',
    HtmlBody: mail.html ?? '',
    Headers: [
      ...list(options.above ?? []),
      { Name: 'Return-Path', Value: '<bounce@shopify.com>' },
      { Name: 'Received', Value: 'by p-pm-inbound.inbound.postmarkapp.com (Postfix, from userid 996)' },
      { Name: 'X-Spam-Checker-Version', Value: 'SpamAssassin 3.4.0' },
      { Name: 'X-Spam-Status', Value: 'No' },
      ...(found === 'nothing' && options.below ? [] : [{ Name: 'X-Spam-Tests', Value: tests[found] }]),
      { Name: 'Received-SPF', Value: 'Pass (sender SPF authorized) identity=mailfrom' },
      { Name: 'Received', Value: 'from mail.shopify.com by p-pm-inbound.inbound.postmarkapp.com (Postfix)' },
      ...mail.headers.map(({ originalKey, value }) => ({ Name: originalKey, Value: value })),
      ...list(options.below ?? []),
    ].filter(({ Name }) => !/^(from|to|subject|date)$/i.test(Name)),
    Attachments: [],
    ...(withRaw ? { RawEmail: raw.toString() } : {}),
  });
}

export async function sendgrid(
  raw: Buffer,
  options: { found?: Found; asRaw?: boolean; fields?: Fields } = {},
): Promise<Posted> {
  const { found = 'aligned', asRaw = false } = options;
  const mail = await PostalMime.parse(raw);
  const dkim = {
    aligned: '{@shopify.com : pass}',
    valid: '{@sender.example : pass}',
    nothing: '{@shopify.com : fail}',
  };
  return form('sendgrid', {
    ...(asRaw
      ? { email: raw.toString() }
      : {
          headers: `Received: by mx.sendgrid.net\n${mail.headers.map(({ originalKey, value }) => `${originalKey}: ${value}`).join('\n')}\n`,
          ...(mail.text === undefined ? {} : { text: mail.text }),
          ...(mail.html === undefined ? {} : { html: mail.html }),
          attachments: '0',
        }),
    dkim: dkim[found],
    SPF: 'pass',
    to: 'shopify@inbound.example.com',
    from: mail.headers.find(({ key }) => key === 'from')?.value ?? '',
    subject: mail.subject ?? '',
    sender_ip: '192.0.2.1',
    envelope: '{"to":["shopify@inbound.example.com"],"from":"bounce@shopify.com"}',
    charsets: '{"to":"UTF-8","text":"UTF-8"}',
    ...options.fields,
  });
}

export async function mailgun(
  raw: Buffer,
  options: {
    atMs: number;
    found?: Found;
    token?: string;
    key?: string;
    asMime?: boolean;
    multipart?: boolean;
    headers?: [string, string][];
    fields?: Fields;
  },
): Promise<Posted> {
  const { found = 'aligned', token = 'a'.repeat(50), key = MAILGUN_KEY, asMime = false } = options;
  const mail = await PostalMime.parse(raw);
  const timestamp = String(Math.floor(options.atMs / 1_000));
  const signer = found === 'valid' ? 'sender.example' : 'shopify.com';
  const headers: [string, string][] = options.headers ?? [
    ['X-Mailgun-Dkim-Check-Result', found === 'nothing' ? 'Fail' : 'Pass'],
    ['X-Mailgun-Spf', 'Pass'],
    ['X-Mailgun-Incoming', 'Yes'],
    ['Received', 'from mail.shopify.com by mxa.mailgun.org'],
    ['Dkim-Signature', `v=1; a=rsa-sha256; c=relaxed/relaxed; d=${signer}; s=s1; h=from:to:subject; bh=AA==; b=AA==`],
    ...mail.headers.map(({ originalKey, value }): [string, string] => [originalKey, value]),
  ];
  const fields = {
    recipient: 'shopify@inbound.example.com',
    sender: 'bounce@shopify.com',
    from: mail.headers.find(({ key: name }) => name === 'from')?.value ?? '',
    subject: mail.subject ?? '',
    ...(asMime
      ? { 'body-mime': raw.toString() }
      : {
          ...(mail.text === undefined ? {} : { 'body-plain': mail.text, 'stripped-text': mail.text }),
          ...(mail.html === undefined ? {} : { 'body-html': mail.html }),
          'message-headers': JSON.stringify(headers),
        }),
    timestamp,
    token,
    signature: createHmac('sha256', key).update(`${timestamp}${token}`).digest('hex'),
    ...options.fields,
  };
  const posted = options.multipart ? form('mailgun', fields) : urlEncoded('mailgun', fields);
  return asMime ? { ...posted, end: '/mime' } : posted;
}

export interface SnsOptions {
  privateKey: string;
  atMs: number;
  version?: '1' | '2';
  topicArn?: string;
  certificateUrl?: string;
  messageId?: string;
  /** After signing. */
  change?: Fields;
}

export async function ses(
  raw: Buffer,
  options: SnsOptions & { found?: Found; base64?: boolean; withContent?: boolean },
): Promise<Posted> {
  const { found = 'aligned', base64 = false, withContent = true, messageId = 'd6iitobk75ur44p8kdnnp7g2n800' } = options;
  const mail = await PostalMime.parse(raw);
  const verdict = (isGood: boolean) => ({ status: isGood ? 'PASS' : 'FAIL' });
  const topicArn = options.topicArn ?? TOPIC_ARN;
  const message = {
    notificationType: 'Received',
    receipt: {
      timestamp: new Date(options.atMs).toISOString(),
      recipients: ['shopify@inbound.example.com'],
      spamVerdict: verdict(true),
      spfVerdict: verdict(true),
      dkimVerdict: verdict(found !== 'nothing'),
      dmarcVerdict: verdict(found === 'aligned'),
      action: { type: 'SNS', topicArn },
    },
    mail: {
      timestamp: new Date(options.atMs).toISOString(),
      source: 'bounce@shopify.com',
      messageId,
      destination: ['shopify@inbound.example.com'],
      headersTruncated: false,
      headers: mail.headers.map(({ originalKey, value }) => ({ name: originalKey, value })),
      commonHeaders: {
        from: [mail.headers.find(({ key }) => key === 'from')?.value ?? ''],
        subject: mail.subject ?? '',
      },
    },
    ...(withContent ? { content: raw.toString(base64 ? 'base64' : 'utf8') } : {}),
  };
  return sns(
    'Notification',
    { Message: JSON.stringify(message), Subject: 'Amazon SES Email Receipt Notification' },
    options,
  );
}

/** A message of SNS, signed as SNS signs it (docs.aws.amazon.com/sns, "Verifying the signatures"). */
export function sns(
  type: 'Notification' | 'SubscriptionConfirmation' | 'UnsubscribeConfirmation',
  fields: Fields,
  options: SnsOptions,
): Posted {
  const message: Fields = {
    Type: type,
    MessageId: '22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324',
    TopicArn: options.topicArn ?? TOPIC_ARN,
    Timestamp: new Date(options.atMs).toISOString(),
    SignatureVersion: options.version ?? '1',
    SigningCertURL: options.certificateUrl ?? 'https://sns.us-east-1.amazonaws.com/SimpleNotificationService-0.pem',
    ...fields,
  };
  const signed =
    type === 'Notification'
      ? ['Message', 'MessageId', 'Subject', 'Timestamp', 'TopicArn', 'Type']
      : ['Message', 'MessageId', 'SubscribeURL', 'Timestamp', 'Token', 'TopicArn', 'Type'];
  const text = signed.flatMap((name) => (name in message ? [`${name}\n${message[name] ?? ''}\n`] : [])).join('');
  const hash = options.version === '2' ? 'RSA-SHA256' : 'RSA-SHA1';
  message['Signature'] = createSign(hash).update(text).sign(options.privateKey, 'base64');
  const body = Buffer.from(JSON.stringify({ ...message, ...options.change }));
  return { provider: 'ses', contentType: 'text/plain; charset=UTF-8', body };
}

export function rawMime(raw: Buffer): Posted {
  return { provider: 'raw', contentType: 'message/rfc822', body: raw };
}

function json(provider: string, value: object): Posted {
  return { provider, contentType: 'application/json', body: Buffer.from(JSON.stringify(value)) };
}

function urlEncoded(provider: string, fields: Fields): Posted {
  const body = Buffer.from(new URLSearchParams(fields).toString());
  return { provider, contentType: 'application/x-www-form-urlencoded', body };
}

/** `multipart/form-data` (RFC 7578), written out, so that nobody's reader is tried with its own writer. */
function form(provider: string, fields: Fields): Posted {
  const parts = Object.entries(fields).map(
    ([name, value]) => `--xYzZY\r\nContent-Disposition: form-data; name="${name}"\r\n\r\n${value}\r\n`,
  );
  const body = Buffer.from(`${parts.join('')}--xYzZY--\r\n`);
  return { provider, contentType: 'multipart/form-data; boundary=xYzZY', body };
}
