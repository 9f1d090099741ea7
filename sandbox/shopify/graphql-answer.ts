import { GraphqlError, valueOf, type Document, type Field, type Operation, type Selection } from './graphql.js';

/** An object as the Admin API knows it: a type's name, and each field as a value or as a function of its arguments. */
export interface GraphNode {
  readonly __typename: string;
  readonly [field: string]: Resolvable;
}
export type Args = Readonly<Record<string, unknown>>;
export type Plain = string | number | boolean | null;
export type Resolved = Plain | GraphNode | readonly Resolved[];
export type Resolvable = Resolved | ((args: Args) => Resolved);
export type Answer = Plain | { [key: string]: Answer } | Answer[];

/** Holds exactly what was asked: no field more, and an unknown field is an error as at Shopify. */
export class Projection {
  /** Objects given out: the base of the actual cost. */
  objects = 0;

  constructor(
    private readonly document: Document,
    private readonly variables: Readonly<Record<string, unknown>>,
  ) {}

  of(node: GraphNode, selections: readonly Selection[]): { [key: string]: Answer } {
    this.objects++;
    const answer: { [key: string]: Answer } = {};
    for (const field of fieldsOn(node.__typename, selections, this.document)) {
      answer[field.key] = this.field(node, field);
    }
    return answer;
  }

  private field(node: GraphNode, field: Field): Answer {
    if (!(field.name in node)) {
      throw new GraphqlError(`Field '${field.name}' doesn't exist on type '${node.__typename}'`, {
        code: 'undefinedField',
        typeName: node.__typename,
        fieldName: field.name,
      });
    }
    const found = node[field.name];
    const value = typeof found === 'function' ? found(argsOf(field, this.variables)) : found;
    return this.value(value ?? null, field);
  }

  private value(value: Resolved, field: Field): Answer {
    if (Array.isArray(value)) return value.map((item: Resolved) => this.value(item, field));
    if (isNode(value)) {
      if (field.selections.length === 0) {
        throw new GraphqlError(`Field must have selections (field '${field.name}' returns ${value.__typename})`, {
          code: 'selectionMismatch',
        });
      }
      return this.of(value, field.selections);
    }
    if (field.selections.length > 0 && value !== null) {
      throw new GraphqlError(`Selections can't be made on scalars (field '${field.name}')`, {
        code: 'selectionMismatch',
      });
    }
    return value as Plain; // lists and objects were handled above
  }
}

function isNode(value: Resolved): value is GraphNode {
  return value !== null && typeof value === 'object' && '__typename' in value;
}

export function argsOf(field: Field, variables: Readonly<Record<string, unknown>>): Args {
  return Object.fromEntries(Object.entries(field.args).map(([name, value]) => [name, valueOf(value, variables)]));
}

/** Fragments opened; a fragment on another type falls away. `Node` and `LegacyInteroperability` fit every object. */
export function fieldsOn(typename: string | null, selections: readonly Selection[], document: Document): Field[] {
  return selections.flatMap((selection): Field[] => {
    if (selection.kind === 'field') return [selection];
    const fragment = selection.kind === 'inline' ? selection : document.fragments.get(selection.name);
    if (fragment === undefined) throw new GraphqlError('Fragment was used, but not defined');
    const fits =
      typename === null ||
      fragment.on === null ||
      fragment.on === typename ||
      /^(?:Node|LegacyInter\w+)$/.test(fragment.on);
    return fits ? fieldsOn(typename, fragment.selections, document) : [];
  });
}

/**
 * What a query may cost before it runs: 0 for scalars, 1 for objects, and for a connection less than linear in its
 * page. A model: fitted to one observed query (250 orders with one money set: 93), not Shopify's own arithmetic.
 */
export function requestedCost(
  operation: Operation,
  document: Document,
  variables: Readonly<Record<string, unknown>>,
): number {
  const costOf = (field: Field): number => {
    if (field.selections.length === 0) return 0;
    const inner = fieldsOn(null, field.selections, document).reduce((sum, child) => sum + costOf(child), 0);
    const args = argsOf(field, variables);
    const ids = Array.isArray(args.ids) ? args.ids.length : null;
    const page = typeof args.first === 'number' ? args.first : typeof args.last === 'number' ? args.last : ids;
    if (page === null) return 1 + inner;
    return 2 + Math.ceil(1.45 * Math.sqrt(page) * Math.max(1, inner));
  };
  const cost = fieldsOn(null, operation.selections, document).reduce((sum, field) => sum + costOf(field), 0);
  return operation.type === 'mutation' ? Math.max(10, cost) : Math.max(1, cost);
}
