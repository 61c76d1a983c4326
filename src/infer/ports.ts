/** What passes bind to their graphs: buffers of ours by name, the scores and cache rows that come out in them. */
import { f32, type HostTensor } from "../tensor/index.ts";
import { type Line, RUN, type Scores } from "./engine.ts";
import type { Pools } from "./pools.ts";

/** Stands for nobody: what a pass is filled up with. */
export const NOBODY: Line = { ids: [0], start: 0, table: [], wants: "none", temperature: 1 };

export class Ports {
  readonly #slots = new Map<string, Slot>();

  constructor(
    private readonly vocabSize: number,
    /** Experts that are told of each token, of all layers together. */
    private readonly choices: number,
  ) {}

  slot(name: string, dtype: "f32" | "u8" | "i64"): Slot {
    let slot = this.#slots.get(name);
    if (slot === undefined) this.#slots.set(name, (slot = new Slot(dtype)));
    return slot;
  }

  /** Whole numbers [items…, n] or [items]. */
  ids<A>(name: string, shape: number[], items: readonly A[], numberOf: (item: A, i: number) => number): HostTensor {
    const slot = this.slot(name, "i64");
    const tensor = slot.shaped(...shape);
    const n = shape[1] ?? 1;
    for (let b = 0; b < items.length; b++) for (let i = 0; i < n; i++) slot.put(b * n + i, numberOf(items[b] as A, i));
    return tensor;
  }

  /** The first N blocks of each line, block 0 after its last. */
  table(lines: readonly Line[], N: number, lane = 0): HostTensor {
    return this.ids(`table ${lane}`, [lines.length, N], lines, ({ table }, n) => table[n] ?? 0);
  }

  /** 1 / temperature of each row that is scored, [L, 1]; 1 where a line has fewer than L in all. */
  sharpness(lines: readonly Line[], rowsOf: (line: Line) => number, L: number, lane = 0): HostTensor {
    const slot = this.slot(`sharpness ${lane}`, "f32");
    const tensor = slot.shaped(L, 1);
    let l = 0;
    for (const line of lines)
      for (let n = rowsOf(line); n > 0; n--) slot.numbers[l++] = line.temperature === 0 ? 1 : 1 / line.temperature;
    slot.numbers.fill(1, l, L);
    return tensor;
  }

  /** Where `count` of L rows of scores go, from row `from` on; and, where `hidden` is their size, what the head was given. */
  scoreRows(L: number, from: number, count: number, hidden = 0): Record<string, HostTensor> {
    const runs = Math.ceil(this.vocabSize / RUN);
    const widths = {
      ...{ logits: this.vocabSize, weights: runs * RUN, sums: runs, largest: 1, totals: 1 },
      ...(this.choices > 0 ? { experts: this.choices } : {}),
      ...(hidden > 0 ? { states: hidden } : {}),
    };
    return Object.fromEntries(
      Object.entries(widths).map(([name, width]) => {
        const slot = this.slot(name, "f32");
        const whole = slot.shaped(L, width);
        return [
          name,
          count === L ? whole : f32([count, width], slot.numbers.subarray(from * width, (from + count) * width)),
        ];
      }),
    );
  }

  /** What came out there. */
  scores(L: number, hidden = 0): Scores {
    const of = (name: string) => this.slot(name, "f32").numbers;
    const [largest, totals] = [of("largest"), of("totals")];
    return {
      logits: of("logits"),
      weights: of("weights"),
      sums: of("sums"),
      logSums: Float64Array.from({ length: L }, (_, l) => largest[l]! + Math.log(totals[l]!)),
      ...(hidden > 0 ? { hidden: of("states").subarray(0, L * hidden) } : {}),
      ...(this.choices > 0 ? { experts: of("experts").subarray(0, L * this.choices) } : {}),
    };
  }

  /** Where the rows go that the pools gain, of T tokens of each of B lines. */
  newRows(pools: Pools, B: number, T: number, lane = 0): Record<string, HostTensor> {
    return Object.fromEntries(
      pools.pools.map(({ name, heads, width, dtype }) => [
        `new.${name}`,
        this.slot(`new.${name} ${lane}`, dtype).shaped(B, heads, T, width),
      ]),
    );
  }

  /** Copies what came out of the lines into their blocks: of each its first tokens, as many as `spanOf` says, from there on. */
  keep(
    pools: Pools,
    lines: readonly Line[],
    T: number,
    spanOf: (line: Line) => { start: number; count: number },
    lane = 0,
  ): void {
    for (const [i, { name, dtype }] of pools.pools.entries()) {
      const { rows } = this.slot(`new.${name} ${lane}`, dtype);
      for (const [b, line] of lines.entries()) {
        if (line === NOBODY) continue;
        const { start, count } = spanOf(line);
        pools.write(i, rows, b, T, count, start, line.table);
      }
    }
  }
}

/** A buffer bound to a graph's port: the same tensor as long as its shape is the same, so that it is not tied anew. */
class Slot {
  #data: Float32Array | Uint8Array | BigInt64Array;
  /** Low and high words of whole numbers. */
  #words: Int32Array;
  #tensor: HostTensor;

  constructor(private readonly dtype: "f32" | "u8" | "i64") {
    this.#data = arrayOf(dtype, 0);
    this.#words = new Int32Array(this.#data.buffer);
    this.#tensor = this.#of([0]);
  }

  /** The tensor of that shape; what it held is lost when it grows. */
  shaped(...shape: number[]): HostTensor {
    if (shape.length !== this.#tensor.shape.length || shape.some((d, i) => d !== this.#tensor.shape[i])) {
      const size = shape.reduce((a, b) => a * b, 1);
      if (size > this.#data.length) {
        this.#data = arrayOf(this.dtype, size);
        if (this.dtype === "i64") this.#words = new Int32Array(this.#data.buffer);
      }
      this.#tensor = this.#of(shape);
    }
    return this.#tensor;
  }

  #of(shape: number[]): HostTensor {
    const data = this.#data.subarray(
      0,
      shape.reduce((a, b) => a * b, 1),
    );
    return { dtype: this.dtype, shape, data } as HostTensor;
  }

  get numbers(): Float32Array {
    return this.#data as Float32Array;
  }

  /** As the cache takes them. */
  get rows(): Float32Array | Uint8Array {
    return this.#data as Float32Array | Uint8Array;
  }

  /** Writes a whole number from 0 to 2³¹ − 1. */
  put(i: number, value: number): void {
    this.#words[2 * i] = value;
    this.#words[2 * i + 1] = 0;
  }

  /** Reads one. */
  at(i: number): number {
    return this.#words[2 * i]!;
  }
}

const arrayOf = (dtype: "f32" | "u8" | "i64", length: number) =>
  dtype === "f32" ? new Float32Array(length) : dtype === "u8" ? new Uint8Array(length) : new BigInt64Array(length);
