import { TOPICS, type Topic } from '../shopify/lifecycle.js';
import { ADMIN_WORDS, MODE_WORDS, REPORT_WORDS, sentence, type StoreTrouble, type Trouble } from '../trouble.js';
import type { Shop, World } from '../world.js';
import { addTold } from './told.js';

export interface Line {
  text: string;
  tone: 'plain' | 'good' | 'bad';
  /** Small words before the text. */
  badges?: readonly string[];
  /** A second, quieter line. */
  detail?: string;
  /** Buttons of the line; each sends its `press` to the form that the list stands in. */
  presses?: readonly { press: string; label: string }[];
}

/**
 * What the page shows, already in words: the server writes it into the first page, the script writes it again each
 * second. One place formats.
 */
export interface View {
  texts: Record<string, string>;
  bars: Record<string, { value: number; max: number }>;
  lists: Record<string, Line[]>;
}

type Facts = ReturnType<typeof factsOf>;
export type State = Facts & { tells: boolean; view: View };

const LOG_SHOWN = 30;
const REMOVALS_SHOWN = 20;

/** Everything a program needs to know of the world, and the same in words for the page. */
export function stateOf(world: World): State {
  const facts = factsOf(world);
  const view = viewOf(facts);
  const lacking = facts.destinations
    .filter(({ missing }) => missing > 0)
    .map(({ name, missing }) => `${name} (${missing})`);
  addTold(view, world, { sold: facts.sold, lacking });
  return { ...facts, tells: world.responders !== null, view };
}

function factsOf(world: World) {
  world.readArrivals();
  const truth = world.truth.at(world.nowMs);
  const stores = [...world.shops.values()].map((shop) => storeState(shop, world));
  const destinations = world.destinations.map((destination) => ({
    name: destination.name,
    url: destination.url,
    mode: destination.mode,
    reports: destination.reports === null ? null : { mode: destination.reports.mode, shown: destination.reports.shown },
    ...destination.counts(),
    arrived: truth[destination.name]?.arrived ?? 0,
    missing: truth[destination.name]?.missing ?? 0,
    young: truth[destination.name]?.young ?? 0,
  }));
  return {
    nowMs: world.nowMs,
    startedAtMs: world.startedAtMs,
    isSelling: world.isSelling,
    ordersPerSecond: world.ordersPerSecond,
    sold: world.truth.sold,
    due: world.truth.due,
    stores,
    destinations,
    admin: { trouble: world.admin.trouble, queries: world.admin.queries },
    sender: { ...world.sender.pending, givenUp: world.sender.givenUp, mails: world.sender.mails.length },
    removals: world.subscriptions.removals.slice(-REMOVALS_SHOWN),
    active: activeTrouble(world),
    log: world.log.slice(0, LOG_SHOWN),
  };
}

function storeState({ store, stats, trouble, key, isInstalled }: Shop, world: World) {
  const { answerMs, ...counts } = stats;
  const subscriptions = world.subscriptions.of(store.domain);
  return {
    domain: store.domain,
    name: store.name,
    currency: store.currency,
    timeZone: store.timeZone,
    hasKey: key !== null,
    ...counts,
    p50Ms: answerMs.quantile(0.5),
    p99Ms: answerMs.quantile(0.99),
    trouble,
    isInstalled,
    subscriptions: subscriptions.map(({ topic, owner, failuresInRow }) => ({ topic, owner, failuresInRow })),
    missingTopics: missingTopics(store.domain, world),
  };
}

/** The trouble there is now, in the words in which it was made. */
function activeTrouble(world: World): string[] {
  const found: Trouble[] = [];
  for (const { store, trouble } of world.shops.values()) found.push(...troubleOf(store.domain, trouble, world.nowMs));
  if (world.admin.trouble !== 'none') found.push({ kind: 'admin', mode: world.admin.trouble });
  if (world.admin.bulk.trouble !== 'none') found.push({ kind: 'bulk', mode: world.admin.bulk.trouble });
  for (const { name, mode, reports } of world.destinations) {
    if (mode !== 'calm') found.push({ kind: 'destination', destination: name, mode });
    if (reports !== null && reports.mode !== 'calm') {
      found.push({ kind: 'reports', destination: name, mode: reports.mode });
    }
  }
  const { responders } = world;
  if (responders !== null && responders.pager.mode !== 'calm')
    found.push({ kind: 'pager', mode: responders.pager.mode });
  if (responders?.pager.onCall.length === 0) found.push({ kind: 'on-call', mode: 'nobody' });
  if (responders?.mail.isDown === true) found.push({ kind: 'mail', mode: 'down' });
  const gone = [...world.shops.values()]
    .filter(({ key }) => key !== null)
    .flatMap(({ store }) =>
      missingTopics(store.domain, world).map(
        (topic) => `Nothing is sent for ${topic}, it is not subscribed: ${store.domain}`,
      ),
    );
  return [...found.map(sentence), ...gone];
}

function missingTopics(domain: string, world: World): Topic[] {
  return TOPICS.filter((topic) => world.subscriptions.listening(domain, topic).length === 0);
}

function troubleOf(store: string, trouble: StoreTrouble, nowMs: number): Trouble[] {
  const shares = (['drop', 'duplicate', 'repeat', 'reorder', 'oversize'] as const)
    .filter((kind) => trouble[kind] > 0)
    .map((kind): Trouble => ({ kind, store, share: trouble[kind] }));
  const oldSecretSeconds = Math.ceil((trouble.oldSecretUntilMs - nowMs) / 1_000);
  return [
    ...shares,
    ...(trouble.delay > 0 ? [{ kind: 'delay', store, seconds: trouble.delay } as const] : []),
    ...(trouble.flood !== 1 ? [{ kind: 'flood', store, factor: trouble.flood } as const] : []),
    ...(oldSecretSeconds > 0 ? [{ kind: 'old-secret', store, seconds: oldSecretSeconds } as const] : []),
  ];
}

const count = new Intl.NumberFormat('en');
const ms = (value: number | null) => (value === null ? '–' : `${value < 10 ? value.toFixed(1) : Math.round(value)} ms`);
const time = (atMs: number) => new Date(atMs).toISOString().slice(11, 19);

function viewOf(state: Facts): View {
  const view: View = { texts: {}, bars: {}, lists: {} };
  const { texts, bars, lists } = view;
  const whole = (key: string, value: number) => (texts[key] = count.format(value));
  whole('sold', state.sold);
  whole('due', state.due);
  texts.rate = `${state.ordersPerSecond}`;
  texts.selling = state.isSelling ? 'open' : 'closed';
  texts.verdict = verdict(state);
  texts.admin = `The Admin API ${ADMIN_WORDS[state.admin.trouble]}; ${count.format(state.admin.queries)} queries so far.`;
  whole('sender.waiting', state.sender.waiting);
  whole('sender.underWay', state.sender.underWay + state.sender.ready);
  whole('sender.mails', state.sender.mails);
  state.stores.forEach((store, index) => {
    const at = `stores.${index}`;
    for (const key of ['sold', 'sent', 'answered', 'retried', 'failed', 'dropped', 'unheard'] as const) {
      whole(`${at}.${key}`, store[key]);
    }
    texts[`${at}.p50`] = ms(store.p50Ms);
    texts[`${at}.p99`] = ms(store.p99Ms);
    texts[`${at}.subscriptions`] = subscriptionWords(store);
    lists[`${at}.topics`] = TOPICS.map((topic): Line => {
      const isThere = !store.missingTopics.includes(topic);
      return isThere ? { text: topic, tone: 'plain' } : { text: `${topic} – gone`, tone: 'bad' };
    });
  });
  state.destinations.forEach((destination, index) => {
    const at = `destinations.${index}`;
    for (const key of ['received', 'distinct', 'repeats', 'lost', 'arrived', 'missing', 'young'] as const) {
      whole(`${at}.${key}`, destination[key]);
    }
    texts[`${at}.mode`] = MODE_WORDS[destination.mode];
    texts[`${at}.reports`] = reportWords(destination.reports);
    bars[`${at}.bar`] = { value: destination.arrived, max: Math.max(1, state.due) };
  });
  lists.active =
    state.active.length === 0
      ? [{ text: 'None. Everything works as it should.', tone: 'good' }]
      : state.active.map((text): Line => ({ text, tone: 'bad' }));
  lists.removals = state.removals
    .map(({ atMs, domain, topic, why }): Line => {
      const cause = why === 'failures' ? 'after 8 failures' : why;
      return { text: `${time(atMs)} ${domain} ${topic} (${cause})`, tone: 'bad' };
    })
    .reverse();
  lists.log = state.log.map(({ atMs, text }): Line => ({ text: `${time(atMs)} ${text}`, tone: 'plain' }));
  return view;
}

function subscriptionWords(store: State['stores'][number]): string {
  if (!store.hasKey) return 'The service has not told its address yet.';
  if (!store.isInstalled) return 'The app is not installed: nothing is sent.';
  const gone = store.missingTopics.length;
  return gone === 0
    ? 'All topics subscribed.'
    : `${gone} of ${TOPICS.length} topics not subscribed: nothing is sent for them.`;
}

function reportWords(reports: State['destinations'][number]['reports']): string {
  if (reports === null) return 'It has no reports: nobody can ask what it received.';
  return `Its reports ${REPORT_WORDS[reports.mode]}; ${count.format(reports.shown)} events are in them by now.`;
}

/** One sentence without figures: it is read aloud each time it changes. */
function verdict(state: Facts): string {
  if (state.due === 0) return state.isSelling ? 'The first orders are on their way.' : 'The stores are closed.';
  const lacking = state.destinations.filter(({ missing }) => missing > 0);
  if (lacking.length === 0) return 'Every order older than 10 seconds has arrived everywhere.';
  return `Orders older than 10 seconds have not arrived at ${lacking.map(({ name }) => name).join(', ')}.`;
}
