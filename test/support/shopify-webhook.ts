import { createHmac, randomUUID } from 'node:crypto';

export interface SignedWebhook {
  url: string;
  headers: Record<string, string>;
  body: Buffer;
}

export interface WebhookParts {
  /** Base URL of the service. */
  service: string;
  secret: string;
  topic: string;
  shop: string;
  body: Buffer | string;
  webhookId?: string;
  key?: string;
  triggeredAt?: string;
}

/** A webhook as Shopify would send it: signed over the exact bytes. */
export function signedWebhook(parts: WebhookParts): SignedWebhook {
  const body = Buffer.from(parts.body);
  return {
    url: `${parts.service}/webhooks/shopify${parts.key ? `/${parts.key}` : ''}`,
    headers: {
      'content-type': 'application/json',
      'x-shopify-topic': parts.topic,
      'x-shopify-shop-domain': parts.shop,
      'x-shopify-webhook-id': parts.webhookId ?? randomUUID(),
      'x-shopify-api-version': '2026-10',
      'x-shopify-triggered-at': parts.triggeredAt ?? '2026-11-23T10:00:00.123456Z',
      'x-shopify-hmac-sha256': createHmac('sha256', parts.secret).update(body).digest('base64'),
    },
    body,
  };
}

/** @returns the HTTP status, or 0 when no answer came */
export async function post(webhook: SignedWebhook): Promise<number> {
  try {
    const response = await fetch(webhook.url, {
      method: 'POST',
      headers: webhook.headers,
      body: new Uint8Array(webhook.body),
      signal: AbortSignal.timeout(5_000),
    });
    await response.arrayBuffer();
    return response.status;
  } catch {
    return 0;
  }
}
