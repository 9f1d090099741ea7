import type { Fields } from './fields.js';

const TEXT = Symbol('the text of a body');

/**
 * A body that is kept as its text and parsed when somebody looks at a field. Thousands of events wait for their
 * delivery in memory: parsed, each would take three times as much of it, in some 500 objects that the garbage
 * collector has to visit, and most destinations never look.
 *
 * @param text of a JSON object; it has been parsed before, so it is valid
 */
export function lazyBody(text: string): Fields {
  return new Proxy<Fields>({}, new LazyBody(text));
}

/** A body as JSON: the text it came as, when it is a lazy one. */
export function bodyText(body: Fields): string {
  const text: unknown = Reflect.get(body, TEXT);
  return typeof text === 'string' ? text : JSON.stringify(body);
}

class LazyBody implements ProxyHandler<Fields> {
  private parsed: Fields | null = null;

  constructor(private readonly text: string) {}

  get(_target: Fields, key: string | symbol): unknown {
    return key === TEXT ? this.text : Reflect.get(this.fields(), key);
  }

  has(_target: Fields, key: string | symbol): boolean {
    return Reflect.has(this.fields(), key);
  }

  ownKeys(): ArrayLike<string | symbol> {
    return Reflect.ownKeys(this.fields());
  }

  getOwnPropertyDescriptor(_target: Fields, key: string | symbol): PropertyDescriptor | undefined {
    return Reflect.getOwnPropertyDescriptor(this.fields(), key);
  }

  set(): boolean {
    return false;
  }

  defineProperty(): boolean {
    return false;
  }

  deleteProperty(): boolean {
    return false;
  }

  // The cast is safe: `lazyBody` is given the text of an object.
  private fields(): Fields {
    return (this.parsed ??= JSON.parse(this.text) as Fields);
  }
}
