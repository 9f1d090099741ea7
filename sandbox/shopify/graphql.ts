/**
 * As much of GraphQL as an honest answer needs: operations, variables, arguments, aliases, nested selections, inline
 * fragments and named ones. What is not understood (directives, subscriptions) is refused, never guessed.
 * Source: spec.graphql.org, October 2021, §2.
 */
export interface Document {
  operations: readonly Operation[];
  fragments: ReadonlyMap<string, Fragment>;
}

export interface Operation {
  type: 'query' | 'mutation';
  name: string | null;
  defaults: Readonly<Record<string, Value>>;
  selections: readonly Selection[];
}

export interface Fragment {
  on: string;
  selections: readonly Selection[];
}

export interface Field {
  kind: 'field';
  /** The key in the answer: the alias, else the name. */
  key: string;
  name: string;
  args: Readonly<Record<string, Value>>;
  selections: readonly Selection[];
}

export type Selection =
  Field | { kind: 'inline'; on: string | null; selections: readonly Selection[] } | { kind: 'spread'; name: string };

/** A literal, or a variable still to be filled in. */
export type Value =
  | { variable: string }
  | { literal: string | number | boolean | null }
  | { list: readonly Value[] }
  | { object: Readonly<Record<string, Value>> };

export class GraphqlError extends Error {
  constructor(
    message: string,
    readonly extensions: Readonly<Record<string, unknown>> = {},
  ) {
    super(message);
  }
}

const TOKEN =
  /(?<skip>[\s,\uFEFF]+|#[^\n]*)|(?<block>"""[\s\S]*?""")|(?<text>"(?:[^"\\\n]|\\.)*")|(?<number>-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)|(?<name>[_A-Za-z]\w*)|(?<mark>\.{3}|[!$&()[\]{}:=@|])/y;

export function parse(source: string): Document {
  return new Parser(tokens(source)).document();
}

/** Fills variables in. */
export function valueOf(value: Value, variables: Readonly<Record<string, unknown>>): unknown {
  if ('variable' in value) return variables[value.variable];
  if ('literal' in value) return value.literal;
  if ('list' in value) return value.list.map((item) => valueOf(item, variables));
  return Object.fromEntries(Object.entries(value.object).map(([key, item]) => [key, valueOf(item, variables)]));
}

function tokens(source: string): string[] {
  const found: string[] = [];
  TOKEN.lastIndex = 0;
  while (TOKEN.lastIndex < source.length) {
    const at = TOKEN.lastIndex;
    const match = TOKEN.exec(source);
    if (match === null) throw new GraphqlError(`syntax error at character ${at}: ${source.slice(at, at + 20)}`);
    if (match.groups?.skip === undefined) found.push(match[0]);
  }
  return found;
}

class Parser {
  private at = 0;

  constructor(private readonly tokens: readonly string[]) {}

  document(): Document {
    const operations: Operation[] = [];
    const fragments = new Map<string, Fragment>();
    while (this.at < this.tokens.length) {
      if (this.peek() === 'fragment') {
        this.take();
        const name = this.name();
        this.expect('on');
        fragments.set(name, { on: this.name(), selections: this.selections() });
      } else operations.push(this.operation());
    }
    return { operations, fragments };
  }

  private operation(): Operation {
    if (this.peek() === '{') return { type: 'query', name: null, defaults: {}, selections: this.selections() };
    const type = this.take();
    if (type !== 'query' && type !== 'mutation') throw new GraphqlError(`syntax error: unexpected ${type}`);
    const name = this.peek() === '(' || this.peek() === '{' ? null : this.name();
    const defaults: Record<string, Value> = {};
    if (this.accept('(')) {
      while (!this.accept(')')) {
        this.expect('$');
        const variable = this.name();
        this.expect(':');
        this.type();
        if (this.accept('=')) defaults[variable] = this.value();
      }
    }
    return { type, name, defaults, selections: this.selections() };
  }

  /** Types of variables are read and not checked. */
  private type(): void {
    if (this.accept('[')) {
      this.type();
      this.expect(']');
    } else this.name();
    this.accept('!');
  }

  private selections(): Selection[] {
    this.expect('{');
    const found: Selection[] = [];
    while (!this.accept('}')) found.push(this.selection());
    if (found.length === 0) throw new GraphqlError('syntax error: empty selection');
    return found;
  }

  private selection(): Selection {
    if (this.accept('...')) {
      if (this.peek() === '{') return { kind: 'inline', on: null, selections: this.selections() };
      if (this.accept('on')) return { kind: 'inline', on: this.name(), selections: this.selections() };
      return { kind: 'spread', name: this.name() };
    }
    const first = this.name();
    const name = this.accept(':') ? this.name() : first;
    const args: Record<string, Value> = {};
    if (this.accept('(')) {
      while (!this.accept(')')) {
        const arg = this.name();
        this.expect(':');
        args[arg] = this.value();
      }
    }
    if (this.peek() === '@') throw new GraphqlError('the sandbox does not know directives');
    const selections = this.peek() === '{' ? this.selections() : [];
    return { kind: 'field', key: first, name, args, selections };
  }

  private value(): Value {
    const token = this.take();
    if (token === '$') return { variable: this.name() };
    if (token === '[') {
      const list: Value[] = [];
      while (!this.accept(']')) list.push(this.value());
      return { list };
    }
    if (token === '{') {
      const object: Record<string, Value> = {};
      while (!this.accept('}')) {
        const key = this.name();
        this.expect(':');
        object[key] = this.value();
      }
      return { object };
    }
    return { literal: literal(token) };
  }

  private peek(): string | undefined {
    return this.tokens[this.at];
  }

  private take(): string {
    const token = this.tokens[this.at++];
    if (token === undefined) throw new GraphqlError('syntax error: unexpected end');
    return token;
  }

  private accept(token: string): boolean {
    if (this.peek() !== token) return false;
    this.at++;
    return true;
  }

  private expect(token: string): void {
    const found = this.take();
    if (found !== token) throw new GraphqlError(`syntax error: expected ${token}, found ${found}`);
  }

  private name(): string {
    const token = this.take();
    if (!/^[_A-Za-z]\w*$/.test(token)) throw new GraphqlError(`syntax error: expected a name, found ${token}`);
    return token;
  }
}

function literal(token: string): string | number | boolean | null {
  if (token.startsWith('"""')) return token.slice(3, -3).trim();
  if (token.startsWith('"')) return String(JSON.parse(token));
  if (token === 'null') return null;
  if (token === 'true' || token === 'false') return token === 'true';
  if (/^-?\d/.test(token)) return Number(token);
  if (/^[_A-Za-z]/.test(token)) return token; // an enum value
  throw new GraphqlError(`syntax error: expected a value, found ${token}`);
}
