/** Weights that are not numbers: found before they are kept. */
import { firstNotFinite } from "../checkpoint/index.ts";
import type { ParameterStore } from "../train/index.ts";

export interface NotFinite {
  key: string;
  /** How many of `size` values are NaN or infinite. */
  count: number;
  size: number;
}

/** The first parameter with a value that is NaN or infinite, in one of the store's arrays; undefined when there is none. */
export function whereNotFinite(store: ParameterStore, array: Float32Array): NotFinite | undefined {
  const at = firstNotFinite(array);
  if (at < 0) return undefined;
  for (const [key, { offset, size }] of store.views)
    if (at >= offset && at < offset + size)
      return {
        key,
        count: array.subarray(offset, offset + size).reduce((n, x) => n + (Number.isFinite(x) ? 0 : 1), 0),
        size,
      };
  return undefined;
}

/** `model.norm.weight: 3 of 64 values are NaN or infinite`. */
export const describeNotFinite = ({ key, count, size }: NotFinite): string =>
  `${key}: ${count} of ${size} values are NaN or infinite`;
