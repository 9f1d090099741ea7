import type pg from 'pg';
import type { Database } from '../../kernel/database.js';
import { invariant } from '../../kernel/errors.js';
import {
  KIND_CODES,
  kindOf,
  stateOf,
  type Exception,
  type Kind,
  type ListedFact,
  type ListedKind,
  type Standing,
  type StandingCount,
  type State,
} from '../contract.js';
import { dayLiteral, readStandings } from './standings.js';

export interface Owed {
  shopId: string;
  destinationId: number;
  kind: ListedKind;
}

export interface Comparison {
  counts: StandingCount[];
  exceptions: Exception[];
}

/** Nothing more is to be done about an obligation in one of these. */
const AT_REST: ReadonlySet<State> = new Set<State>(['accepted', 'confirmed', 'ignored']);

/** A slice holds one transaction and one turn of the event loop: some 30 ms of each. */
const SLICE_FACTS = 25_000;

/**
 * Compares what Shopify lists with the ledger, by id and set by set.
 *
 * The ledger says which ids of a kind stand in which state, and the sets are compared here: so the database need not
 * take the listed ids in, nor join them. It is read day by day and, within a day, by slices of neighbouring ids, each
 * in a transaction of its own: orders that are sold together lie together in the ledger, and one walk along the
 * primary key finds them all. Ids that lie far apart in a crowd of others are looked up one by one instead.
 *
 * Each slice is one snapshot: what is counted and what is told of it agree.
 *
 * @param database not KEYED: a walk over many rows is what is wanted
 * @param facts each once
 */
export async function compareWithLedger(
  database: Database,
  facts: readonly ListedFact[],
  owed: readonly Owed[],
): Promise<Comparison> {
  const owedBy = Map.groupBy(owed, (each) => `${each.shopId}/${each.kind}`);
  const counts = new Map<string, StandingCount>();
  const exceptions: Exception[] = [];
  for (const [day, ofDay] of Map.groupBy(facts, ({ ledgerDay }) => ledgerDay)) {
    for (const slice of slicesOf(ofDay)) {
      const obligations = slice.reduce(
        (sum, fact) => sum + (owedBy.get(`${fact.shopId}/${fact.kind}`)?.length ?? 0),
        0,
      );
      if (obligations === 0) continue;
      await snapshot(database, async (client) => {
        const found = compareSlice(slice, await readStates(client, day, slice, obligations), owedBy);
        for (const count of found.counts) add(counts, count);
        exceptions.push(...(await withStandings(client, found.exceptions)));
      });
    }
  }
  return { counts: [...counts.values()], exceptions };
}

/** Which ids of one (shop, destination, kind) stand in one state. */
interface StateSet {
  shopId: string;
  destinationId: number;
  kind: Kind;
  state: State;
  subjectIds: readonly string[];
}

interface Gap {
  fact: ListedFact;
  destinationId: number;
  /** `null` = the ledger has no row. */
  state: State | null;
}

/** Pure: what of `facts` is absent, or not at rest, at a destination that is owed it. Exported for its property. */
export function compareSlice(
  facts: readonly ListedFact[],
  sets: readonly StateSet[],
  owedBy: ReadonlyMap<string, readonly Owed[]>,
): { counts: StandingCount[]; exceptions: Gap[] } {
  const standing = new Map<string, Map<string, State>>();
  for (const { shopId, destinationId, kind, state, subjectIds } of sets) {
    const key = `${shopId}/${kind}/${destinationId}`;
    const states = standing.get(key) ?? new Map<string, State>();
    for (const subjectId of subjectIds) states.set(subjectId, state);
    standing.set(key, states);
  }
  const counts = new Map<string, StandingCount>();
  const exceptions: Gap[] = [];
  for (const [key, ofShop] of Map.groupBy(facts, ({ shopId, kind }) => `${shopId}/${kind}`)) {
    for (const { shopId, destinationId, kind } of owedBy.get(key) ?? []) {
      const states = standing.get(`${shopId}/${kind}/${destinationId}`);
      const byState = new Map<State | null, number>();
      for (const fact of ofShop) {
        const state = states?.get(fact.subjectId) ?? null;
        byState.set(state, (byState.get(state) ?? 0) + 1);
        if (state === null || !AT_REST.has(state)) exceptions.push({ fact, destinationId, state });
      }
      for (const [state, count] of byState) add(counts, { shopId, destinationId, kind, state, count });
    }
  }
  return { counts: [...counts.values()], exceptions };
}

function add(counts: Map<string, StandingCount>, count: StandingCount): void {
  const key = `${count.shopId}/${count.destinationId}/${count.kind}/${count.state}`;
  const known = counts.get(key);
  if (known) known.count += count.count;
  else counts.set(key, { ...count });
}

/** Facts of one day in slices of neighbouring ids; ids that are no numbers in one of their own. */
export function slicesOf(facts: readonly ListedFact[], sliceFacts = SLICE_FACTS): ListedFact[][] {
  const numbers = Float64Array.from(facts, ({ subjectId }) => (isDecimal(subjectId) ? Number(subjectId) : Infinity));
  // Sorted as numbers, in place: sorting the facts themselves by their ids would hold the process up for half a second.
  const sorted = numbers.slice().sort();
  const count = Math.ceil(facts.length / sliceFacts);
  const starts = Array.from({ length: count }, (_, slice) => sorted[slice * sliceFacts] ?? Infinity);
  const slices: ListedFact[][] = starts.map(() => []);
  const others: ListedFact[] = [];
  facts.forEach((fact, index) => {
    const number = numbers[index] ?? Infinity;
    if (number === Infinity) others.push(fact);
    else
      slices[
        Math.max(
          0,
          starts.findLastIndex((start) => start <= number),
        )
      ]?.push(fact);
  });
  return [...slices, others].filter((slice) => slice.length > 0);
}

/** As Shopify writes ids, so that their order as text is their order as numbers where they are equally long. */
function isDecimal(id: string): boolean {
  return /^[1-9]\d{0,18}$/.test(id);
}

async function snapshot(database: Database, work: (client: pg.PoolClient) => Promise<void>): Promise<void> {
  await database.transaction(async (client) => {
    await client.query('set transaction isolation level repeatable read read only');
    await work(client);
  });
}

interface StateRow extends Record<string, unknown> {
  shop_id: string;
  destination_id: number;
  kind: number;
  state: number;
  subject_ids: string;
}

/** From here on a walk over the rows costs more than the look-ups it saves (measured: 0.4 µs a row, 4 µs a look-up). */
const WALK_ROWS_PER_OBLIGATION_MAX = 3;

/** For look-ups: finds rows by their key, whatever the planner thinks of a partition that nobody has analysed yet. */
const BY_KEY = 'set local enable_hashjoin = off; set local enable_mergejoin = off; set local enable_seqscan = off';

async function readStates(
  client: pg.PoolClient,
  day: string,
  slice: readonly ListedFact[],
  obligations: number,
): Promise<StateSet[]> {
  const walk = walkStatement(day, slice);
  if (walk !== null && (await estimateRows(client, walk)) <= WALK_ROWS_PER_OBLIGATION_MAX * obligations) {
    return setsOf((await client.query<StateRow>(`${STATES} ${walk} ${BY_STATE}`)).rows);
  }
  const groups = [...Map.groupBy(slice, ({ shopId, kind }) => `${shopId}/${kind}`).values()];
  await client.query(BY_KEY);
  const { rows } = await client.query<StateRow>(
    `with fact as materialized (
       select listed.shop_id, listed.kind, subject_id
         from unnest($1::bigint[], $2::smallint[], $3::text[]) as listed (shop_id, kind, subject_ids)
        cross join lateral string_to_table(listed.subject_ids, ',') as subject_id)
     ${STATES}
       from fact
      cross join lateral (
        select * from pipeline.ledger l
         where l.day = ${dayLiteral(day)} and l.shop_id = fact.shop_id and l.subject_id = fact.subject_id
           and l.kind = fact.kind
        offset 0) l -- never the other way round: a walk over the ledger with a search of the list for each row
     ${BY_STATE}`,
    [
      groups.map(([first]) => first?.shopId),
      groups.map(([first]) => first && KIND_CODES[first.kind]),
      groups.map((group) => group.map(({ subjectId }) => subjectId).join(',')),
    ],
  );
  return setsOf(rows);
}

const STATES = `
select l.shop_id, l.destination_id, l.kind, l.state, string_agg(l.subject_id, ',') as subject_ids`;
const BY_STATE = 'group by l.shop_id, l.destination_id, l.kind, l.state';

/**
 * Everything between the slice's first and last id, with literal bounds: the planner sees one partition and how much of
 * it lies between them. Index: the primary key, one descent a shop.
 *
 * @returns `null` when the ids' order as text is not known to be the database's
 */
function walkStatement(day: string, slice: readonly ListedFact[]): string | null {
  const [first] = slice;
  let low = first?.subjectId ?? '';
  let high = low;
  const shops = new Set<string>();
  const kinds = new Set<number>();
  for (const { shopId, subjectId, kind } of slice) {
    if (!isDecimal(subjectId) || subjectId.length !== low.length) return null;
    if (subjectId < low) low = subjectId;
    if (subjectId > high) high = subjectId;
    shops.add(shopId);
    kinds.add(KIND_CODES[kind]);
  }
  for (const shopId of shops) invariant(isDecimal(shopId), 'a shop has an id that is no number', { shopId });
  return `
  from pipeline.ledger l
 where l.day = ${dayLiteral(day)} and l.subject_id between '${low}' and '${high}'
   and l.shop_id = any ('{${[...shops].join(',')}}'::bigint[]) and l.kind = any ('{${[...kinds].join(',')}}'::smallint[])`;
}

async function estimateRows(client: pg.PoolClient, from: string): Promise<number> {
  const { rows } = await client.query<{ 'QUERY PLAN': { Plan: { 'Plan Rows': number } }[] }>(
    `explain (format json) select 1 ${from}`,
  );
  return rows[0]?.['QUERY PLAN'][0]?.Plan['Plan Rows'] ?? Infinity;
}

function setsOf(rows: readonly StateRow[]): StateSet[] {
  return rows.map((row) => ({
    shopId: row.shop_id,
    destinationId: row.destination_id,
    kind: kindOf(row.kind),
    state: stateOf(row.state),
    subjectIds: row.subject_ids.split(','),
  }));
}

async function withStandings(client: pg.PoolClient, gaps: readonly Gap[]): Promise<Exception[]> {
  const known = gaps.filter(({ state }) => state !== null);
  const standings = new Map<string, Standing>();
  if (known.length > 0) {
    await client.query(BY_KEY);
    for (const standing of await readStandings(client, [...new Set(known.map(({ fact }) => fact))])) {
      standings.set(`${standing.shopId}/${standing.kind}/${standing.subjectId}/${standing.destinationId}`, standing);
    }
  }
  return gaps.map(({ fact, destinationId, state }) => {
    const standing = standings.get(`${fact.shopId}/${fact.kind}/${fact.subjectId}/${destinationId}`) ?? null;
    invariant((standing?.state ?? null) === state, 'one snapshot tells two states', { fact, destinationId, state });
    return { fact, destinationId, standing };
  });
}
