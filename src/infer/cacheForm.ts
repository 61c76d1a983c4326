/** In what form the cache keeps rows: f32, or 8 bits a number with a scale for each row. */
import type { CacheForm, CacheRows } from "../model/index.ts";
import { abs, add, cast, concat, div, max, maximum, mul, round, split, sub, type Tensor } from "../tensor/index.ts";

/** One tensor that the cache keeps: of a row in int8 there are two, its codes and its scales. */
export interface StoredRows {
  name: string;
  heads: number;
  width: number;
  dtype: "f32" | "u8";
}

/** What is kept of rows, in their order. */
export const storedRows = (spec: readonly CacheRows[], form: CacheForm): StoredRows[] =>
  spec.flatMap(({ name, heads, width, parts }): StoredRows[] =>
    form === "f32"
      ? [{ name, heads, width, dtype: "f32" }]
      : [
          { name, heads, width, dtype: "u8" },
          { name: `${name}.scale`, heads, width: parts.length, dtype: "f32" },
        ],
  );

const cut = (rows: Tensor, widths: readonly number[]): Tensor[] =>
  widths.length === 1 ? [rows] : split(rows, -1, [...widths]);

/** Rows from codes [.., width] and a scale for each part [.., parts]: (code − 128) · scale. */
export function widened(codes: Tensor, scales: Tensor, parts: readonly number[]): Tensor {
  const steps = cut(sub(cast(codes, "f32"), 128), parts);
  const each = cut(
    scales,
    parts.map(() => 1),
  );
  return concat(
    steps.map((part, i) => mul(part, each[i]!)),
    -1,
  );
}

/** Rounds rows as the cache will keep them; everybody sees a row so from the first, so that its bits depend on no chunk and no company. */
export class Rounding {
  readonly #kept = new Map<Tensor, [codes: Tensor, scales: Tensor]>();

  /** The nearest multiple of largest magnitude / 127, part by part. */
  readonly round = (row: Tensor, parts: readonly number[]): Tensor => {
    const pieces = cut(row, parts);
    const scales = pieces.map((piece) => mul(max(abs(piece), row.rank - 1, true), 1 / 127));
    const codes = pieces.map((piece, i) => add(round(div(piece, maximum(scales[i]!, 1e-30))), 128));
    const rounded = concat(
      codes.map((code, i) => mul(sub(code, 128), scales[i]!)),
      -1,
    );
    this.#kept.set(rounded, [cast(concat(codes, -1), "u8"), concat(scales, -1)]);
    return rounded;
  };

  /** What is to be kept of a row that was rounded here. */
  of(rounded: Tensor): [codes: Tensor, scales: Tensor] {
    const kept = this.#kept.get(rounded);
    if (kept === undefined) throw new Error("cache: a row came that was not rounded");
    return kept;
  }
}
