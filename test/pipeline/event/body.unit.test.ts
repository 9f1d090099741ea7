import { describe, expect, it } from 'vitest';
import { bodyText, lazyBody } from '../../../src/pipeline/event/body.js';

describe('a body that is parsed when somebody looks', () => {
  const text = '{ "id": "820982911946154508", "refunds": [{}], "note": null }';

  it('is the object to whoever reads it', () => {
    const body = lazyBody(text);
    expect(body['refunds']).toEqual([{}]);
    expect('note' in body).toBe(true);
    expect(body['absent']).toBeUndefined();
    expect(Object.keys(body)).toEqual(['id', 'refunds', 'note']);
    expect({ ...body }).toEqual(JSON.parse(text));
    expect(JSON.parse(JSON.stringify(body))).toEqual(JSON.parse(text));
  });

  it('gives its text back as it came, and that of any other object', () => {
    expect(bodyText(lazyBody(text))).toBe(text);
    expect(bodyText({ a: 1 })).toBe('{"a":1}');
  });

  it('cannot be written to', () => {
    const body = lazyBody(text) as Record<string, unknown>;
    expect(() => (body['id'] = 'other')).toThrow(TypeError);
    expect(() => delete body['id']).toThrow(TypeError);
    expect(body['id']).toBe('820982911946154508');
  });
});
