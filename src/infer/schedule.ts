/** Who comes in, who reads and who makes a step: decided from numbers alone, so that it can be tested without a model. */
import { BLOCK_TOKENS } from "./engine.ts";

/** A sequence that waits for a place. */
export interface Waiting {
  readonly client: string;
  /** Blocks that reading its prompt takes. */
  readonly needs: number;
}

/** A sequence that has a place. */
export interface Running {
  readonly client: string;
  /** Grows with every sequence that comes: the youngest has the largest. */
  readonly born: number;
  /** Prompt tokens still to be read; 0 makes steps. */
  readonly left: number;
  /** Positions read. */
  readonly length: number;
  /** Blocks it holds, and how many of them would be free without it. */
  readonly holds: number;
  readonly own: number;
  /** Its next position falls in a block that others hold too: a copy is needed. */
  readonly copies: boolean;
  /** False while its consumer has not taken what it drew, or another reads the prompt for it. */
  readonly ready: boolean;
  /** Grows each time it reads: whose turn is longest ago is next. */
  readonly turn: number;
}

export interface Line {
  readonly free: number;
  /** Places of one named client at most. */
  readonly share: number;
  /** Blocks to be had. */
  readonly blocks: number;
  /** When each client was let in last: grows with every turn. A client that is new counts from where it came. */
  turnOf(client: string): number;
}

/**
 * Which of those waiting come in, in order. Clients take turns: the one with the fewest inside first, then the one whose turn is longest
 * ago; each one's own come as they stand. When nobody runs, the first comes in whatever it needs.
 */
export function admit<W extends Waiting>(waiting: readonly W[], running: readonly Running[], line: Line): W[] {
  const lines = new Map<string, { next: number; list: W[] }>();
  for (const one of waiting) {
    const of = lines.get(one.client);
    if (of) of.list.push(one);
    else lines.set(one.client, { next: 0, list: [one] });
  }
  const inside = new Map<string, number>();
  const turns = new Map<string, number>();
  let promised = 0;
  for (const { client, left, length, holds } of running) {
    inside.set(client, (inside.get(client) ?? 0) + 1);
    promised += Math.max(0, blocksFor(length + left) - holds);
  }
  const admitted: W[] = [];
  for (let free = line.free, now = Infinity; free > 0; free--) {
    let best: string | undefined;
    const rank = (client: string) => [inside.get(client) ?? 0, turns.get(client) ?? line.turnOf(client)] as const;
    for (const [client, { next, list }] of lines) {
      if (next === list.length || (client !== "" && (inside.get(client) ?? 0) >= line.share)) continue;
      if (best === undefined || before(rank(client), rank(best))) best = client;
    }
    const of = best === undefined ? undefined : lines.get(best);
    const one = of?.list[of.next];
    if (best === undefined || of === undefined || one === undefined) break;
    // room for the prompt, and one block for everybody's next steps
    const crowd = running.length + admitted.length;
    if (crowd > 0 && promised + one.needs + crowd + 1 > line.blocks) break;
    promised += one.needs;
    of.next++;
    inside.set(best, (inside.get(best) ?? 0) + 1);
    turns.set(best, now);
    admitted.push(one);
    now = Infinity;
  }
  return admitted;
}

const before = (a: readonly [number, number], b: readonly [number, number]): boolean =>
  a[0] === b[0] ? a[1] < b[1] : a[0] < b[0];

const blocksFor = (positions: number): number => Math.ceil(positions / BLOCK_TOKENS);

export interface Plan<R> {
  /** Must give their blocks back and wait again, before anything else. */
  preempt: R[];
  /** Passes in which each makes a step. */
  steps: R[][];
  /** Passes in which prompts are read, so many tokens of each. */
  reads: { who: R; tokens: number }[][];
}

/**
 * What happens next. Everyone ready makes a step, the oldest first to get blocks; beside them up to `tokens` of prompts are read, whoever
 * read longest ago first. Where blocks run out the youngest gives its own back. `blocks`: how many can be had.
 */
export function schedule<R extends Running>(
  running: readonly R[],
  budget: { tokens: number; blocks: number },
): Plan<R> {
  const byAge = [...running].sort((a, b) => a.born - b.born);
  const gone = new Set<R>();
  let { blocks } = budget;
  /** Makes room, at the expense of those younger than `who`. */
  const room = (who: R, needs: number): boolean => {
    for (let i = byAge.length - 1; blocks < needs && i >= 0; i--) {
      const young = byAge[i] as R;
      if (young === who) break;
      if (gone.has(young) || young.holds === 0) continue;
      gone.add(young);
      blocks += young.own;
    }
    return blocks >= needs;
  };
  const copy = ({ copies }: R) => (copies ? 1 : 0);
  const steps: R[] = [];
  for (const who of byAge) {
    if (!who.ready || who.left > 0 || gone.has(who)) continue;
    const needs = blocksFor(who.length + 1) - who.holds + copy(who);
    if (!room(who, needs)) continue;
    blocks -= needs;
    steps.push(who);
  }
  const reads: { who: R; tokens: number }[] = [];
  const readers = running.filter((who) => who.ready && who.left > 0).sort((a, b) => a.turn - b.turn || a.born - b.born);
  const oldest = byAge.find((who) => !gone.has(who));
  let { tokens } = budget;
  for (const who of readers) {
    if (tokens === 0) break;
    if (gone.has(who)) continue;
    const most = Math.min(who.left, tokens);
    const needs = blocksFor(who.length + most) - who.holds + copy(who);
    if (blocks < needs && who === oldest) room(who, needs);
    const spare = who.holds * BLOCK_TOKENS - who.length;
    const fits = blocks >= needs ? most : Math.min(most, spare + (blocks - copy(who)) * BLOCK_TOKENS);
    if (fits <= 0) continue;
    blocks -= Math.max(0, blocksFor(who.length + fits) - who.holds + copy(who));
    tokens -= fits;
    reads.push({ who, tokens: fits });
  }
  return {
    preempt: [...gone],
    steps: passes(
      steps.filter((who) => !gone.has(who)),
      ({ length }) => blocksFor(length),
      PASS_BLOCKS,
    ),
    reads: passes(
      reads.filter(({ who }) => !gone.has(who)),
      (read) => read.tokens,
      PASS_TOKENS,
    ),
  };
}

/** A pass costs about as much besides as attending to so many blocks, or reading so many tokens. */
const PASS_BLOCKS = 160;
const PASS_TOKENS = 24;

/** Cuts a list into passes, in each of which all are padded to the largest and which costs `worth` besides: the cheapest there are. */
export function passes<A>(items: readonly A[], sizeOf: (item: A) => number, worth: number): A[][] {
  const n = items.length;
  const order = items.map((item, at) => ({ at, size: sizeOf(item) })).sort((a, b) => b.size - a.size);
  // the least cost of the smallest n − i, and where the first of their passes ends
  const cost = new Float64Array(n + 1);
  const end = new Int32Array(n + 1);
  for (let i = n - 1; i >= 0; i--) {
    const largest = order[i]?.size ?? 0;
    cost[i] = Infinity;
    for (let j = n; j > i; j--) {
      const whole = worth + (j - i) * largest + (cost[j] ?? 0);
      if (whole < (cost[i] ?? 0)) [cost[i], end[i]] = [whole, j];
    }
  }
  const out: A[][] = [];
  for (let i = 0; i < n; i = end[i] ?? n) {
    const own = order.slice(i, end[i]).map(({ at }) => at);
    out.push(own.sort((a, b) => a - b).map((at) => items[at] as A));
  }
  return out;
}
