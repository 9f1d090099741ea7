import { argsOf, fieldsOn, Projection, type Args, type GraphNode } from './graphql-answer.js';
import { GraphqlError, parse, type Document, type Field, type Selection } from './graphql.js';

/** shopify.dev/docs/api/usage/bulk-operations/queries, "Operation restrictions". */
const CONNECTIONS_MAX = 5;
const DEPTH_MAX = 2;
const PAGE = 250;

/** All objects that a top-level connection would list, each made when it is its turn; `null` = gone meanwhile. */
export type BulkSource = (name: string, args: Args) => readonly (() => GraphNode | null)[];

export interface BulkPlan {
  document: Document;
  root: Field;
  args: Args;
}

/**
 * Reads the query of a bulk operation.
 *
 * @throws GraphqlError for what Shopify does not run in bulk
 */
export function bulkPlan(query: string): BulkPlan {
  const document = parse(query);
  const [operation, ...others] = document.operations;
  if (operation === undefined || others.length > 0 || operation.type !== 'query') {
    throw new GraphqlError('Bulk queries must contain exactly one query.');
  }
  const [root, ...rest] = fieldsOn(null, operation.selections, document);
  if (root === undefined || rest.length > 0) {
    throw new GraphqlError('Bulk queries must contain exactly one top-level field.');
  }
  const count = (field: Field, depth: number): number => {
    if (depth > DEPTH_MAX) throw new GraphqlError(`Bulk queries cannot nest connections deeper than ${DEPTH_MAX}.`);
    return connectionsIn(nodeFields(field, document), document).reduce(
      (sum, child) => sum + count(child, depth + 1),
      1,
    );
  };
  if (!isConnection(root, document)) throw new GraphqlError('Bulk queries must contain at least one connection.');
  if (count(root, 0) > CONNECTIONS_MAX) {
    throw new GraphqlError(`Bulk queries cannot contain more than ${CONNECTIONS_MAX} connections.`);
  }
  return { document, root, args: argsOf(root, {}) };
}

/**
 * One line an object; those of nested connections name their parent, and come right after it when grouped, else after
 * all of their parents.
 */
export function* bulkLines(
  plan: BulkPlan,
  roots: readonly (() => GraphNode | null)[],
  isGrouped: boolean,
): Generator<{ line: string; isRoot: boolean }> {
  const { document, root } = plan;
  const projection = new Projection(document, {});
  const later: { line: string; isRoot: boolean }[] = [];
  for (const make of roots) {
    const node = make();
    if (node === null) continue;
    for (const one of lines(node, root, null)) {
      if (isGrouped || one.isRoot) yield one;
      else later.push(one);
    }
  }
  yield* later;

  function* lines(node: GraphNode, field: Field, parent: string | null): Generator<{ line: string; isRoot: boolean }> {
    const fields = fieldsOn(node.__typename, nodeSelections(field, document), document);
    const nested = connectionsIn(fields, document);
    const plain = fields.filter((one) => !nested.includes(one));
    const object = { ...projection.of(node, plain), ...(parent !== null && { __parentId: parent }) };
    yield { line: JSON.stringify(object), isRoot: parent === null };
    const id = typeof node.id === 'string' ? node.id : '';
    for (const child of nested) {
      for (const one of everyNode(node, child)) yield* lines(one, child, id);
    }
  }
}

/** All nodes of a nested connection, whatever page the query asked for: bulk operations have none. */
function* everyNode(node: GraphNode, field: Field): Generator<GraphNode> {
  const resolver = node[field.name];
  if (typeof resolver !== 'function') throw new GraphqlError(`Field '${field.name}' is no connection`);
  let after: unknown = null;
  for (;;) {
    const page = resolver({ ...argsOf(field, {}), first: PAGE, after }) as GraphNode; // a connection is a node
    const nodes = page.nodes;
    if (typeof nodes === 'function') yield* nodes({}) as readonly GraphNode[];
    const info = page.pageInfo as GraphNode;
    if (info.hasNextPage !== true) return;
    after = info.endCursor;
  }
}

function connectionsIn(fields: readonly Field[], document: Document): Field[] {
  return fields.filter((field) => isConnection(field, document));
}

function isConnection(field: Field, document: Document): boolean {
  return fieldsOn(null, field.selections, document).some(({ name }) => name === 'edges' || name === 'nodes');
}

function nodeFields(field: Field, document: Document): Field[] {
  return fieldsOn(null, nodeSelections(field, document), document);
}

/** What is asked of each object, under `edges { node }` or `nodes`. */
function nodeSelections(field: Field, document: Document): readonly Selection[] {
  return fieldsOn(null, field.selections, document).flatMap((one) => {
    if (one.name === 'nodes') return one.selections;
    if (one.name !== 'edges') return [];
    return fieldsOn(null, one.selections, document).flatMap(({ name, selections }) =>
      name === 'node' ? selections : [],
    );
  });
}
