import { describe, expect, it } from 'vitest';
import { WebhookBody } from '../../../src/pipeline/event/body.js';

describe('the body of an event', () => {
  it('gives its text as it came, with long integers as strings and without a byte order mark', () => {
    const text = '{ "id": 820982911946154508, "note": "é👕", "total": 1.0 }';
    const lossless = '{ "id": "820982911946154508", "note": "é👕", "total": 1.0 }';
    expect(new WebhookBody(Buffer.from(text)).text()).toBe(lossless);
    expect(new WebhookBody(Buffer.from(`\ufeff${text}`)).text()).toBe(lossless);
  });

  it('is a copy of its own once the event is kept', () => {
    const segment = Buffer.from('{"id":1}{"id":2}');
    const [kept, passing] = [new WebhookBody(segment.subarray(0, 8)), new WebhookBody(segment.subarray(8))];
    kept.keep();
    kept.keep();
    segment.fill('x');
    expect(kept.text()).toBe('{"id":1}');
    expect(passing.text()).toBe('xxxxxxxx');
  });
});
