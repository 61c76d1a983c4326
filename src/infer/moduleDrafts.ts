/** The model's own module for multi-token prediction: it guesses, and the guess is checked in the same run. */
import type { ModelConfig } from "../model/index.ts";
import type { HostTensor } from "../tensor/index.ts";
import type { StoredRows } from "./cacheForm.ts";
import { BLOCK_TOKENS, type Line, type Scores } from "./engine.ts";
import { alikeIn, type Graph } from "./graphs.ts";
import { Pools } from "./pools.ts";
import { NOBODY, type Ports } from "./ports.ts";
import { isHidden } from "./traces.ts";

/** Tokens of a line in one run: the one that is known and the guess. */
const TOKENS = 2;
/** Positions of a line whose rows are made up for at once. */
const RECALLED = 256;

/** A line and the ids of its latest positions. */
type Seen = Line & { seen: readonly number[] };

export class ModuleDrafts {
  /** The cache of the module's layer. Whoever shares a block would write the same there: a row is made of the ids up to its own. */
  readonly pools: Pools;

  constructor(
    private readonly config: ModelConfig,
    private readonly graphs: { draft: Graph; recall: Graph },
    rows: readonly StoredRows[],
    /** Of the model itself: the hidden states too. */
    private readonly modelPools: Pools,
    private readonly ports: Ports,
  ) {
    this.pools = new Pools(rows);
  }

  /** Two rows of scores of each line: its own id's, then the guess's. */
  async run(lines: readonly Line[]): Promise<Scores> {
    const asked = lines.map((line) => seenOf(line));
    for (const line of asked) await this.#recall(line);
    const { sequences, positions } = alikeIn(this.config, "draft");
    const missing = Math.max(0, Math.ceil(sequences / TOKENS) - asked.length);
    const all = [...asked, ...Array<Seen>(missing).fill(NOBODY_SEEN)];
    const [B, L] = [all.length, TOKENS * all.length];
    const reach = lines.reduce((most, { start }) => Math.max(most, start), 0) + TOKENS;
    const S = positions * Math.ceil(reach / positions);
    const { ports, pools, modelPools } = this;
    const guess = ports.slot("guess", "i64");
    const { binding } = this.graphs.draft;
    binding.rebind(
      {
        positions: ports.ids("positions 0", [B, 1], all, ({ start }) => start),
        ...this.#latest(all, TOKENS),
        table: ports.table(all, S / BLOCK_TOKENS),
        ...modelPools.tensors(),
        ...pools.tensors(),
        sharpness: ports.sharpness(all, () => TOKENS, L),
      },
      {
        ...ports.scoreRows(L, 0, L),
        ...ports.newRows(modelPools, B, TOKENS),
        ...ports.newRows(pools, B, TOKENS),
        guess: guess.shaped(B, 1),
      },
    );
    await binding.run();
    const room = ({ start, table }: Line) => table.length * BLOCK_TOKENS - start;
    ports.keep(modelPools, lines, TOKENS, (line) => ({ start: line.start, count: Math.min(TOKENS, room(line)) }));
    ports.keep(pools, lines, TOKENS, ({ start }) => ({ start: start - 1, count: TOKENS }));
    return { ...ports.scores(L), guesses: lines.map((_, b) => guess.at(b)) };
  }

  /** Makes the rows of what was seen that a draft does not make itself. */
  async #recall({ seen, ...line }: Seen): Promise<void> {
    const { ports, pools, modelPools } = this;
    const { binding } = this.graphs.recall;
    const first = line.start + 1 - seen.length;
    for (let n = 0; n < seen.length - TOKENS; n += RECALLED) {
      const ids = seen.slice(n, Math.min(n + RECALLED, seen.length - TOKENS));
      const T = ids.length;
      const part: Seen = { ...line, seen: ids, start: first + n + T - 1 };
      binding.rebind(
        {
          positions: ports.ids("recalled", [1, T], [part], (_, t) => first + n + t),
          ...this.#latest([part], T),
          ...modelPools.tensors(isHidden),
        },
        ports.newRows(pools, 1, T),
      );
      await binding.run();
      ports.keep(pools, [part], T, () => ({ start: first + n, count: T }));
    }
  }

  /** The ids of the last T positions of each line, and where the hidden states before them lie. Before the first there is none: any will do. */
  #latest(lines: readonly Seen[], T: number): Record<string, HostTensor> {
    return {
      seen: this.ports.ids("seen", [lines.length, T], lines, ({ seen }, t) => seen[seen.length - T + t] ?? 0),
      places: this.ports.ids("places", [lines.length, T], lines, ({ start, table }, t) => {
        const at = start - T + t;
        return at < 0 ? 0 : (table[Math.floor(at / BLOCK_TOKENS)] ?? 0) * BLOCK_TOKENS + (at % BLOCK_TOKENS);
      }),
    };
  }
}

const NOBODY_SEEN: Seen = { ...NOBODY, seen: [0, 0] };

function seenOf(line: Line): Seen {
  const { seen, start } = line;
  if (seen === undefined || seen.length < TOKENS || seen.length > start + 1)
    throw new Error(`decoder: expected ${TOKENS} to ${start + 1} ids that were seen, got ${seen?.length ?? 0}`);
  return { ...line, seen };
}
