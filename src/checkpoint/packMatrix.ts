/** Rounding a large matrix to blocks while others get their turns. */
import { setImmediate as turn } from "node:timers/promises";
import { type BlockWeight, emptyBlocks, roundRows } from "../model/index.ts";
import type { HostTensor } from "../tensor/index.ts";

/** Numbers that are rounded before the event loop gets a turn. */
const SLICE = 2 ** 20;

/** Rounds a matrix to blocks, giving the event loop a turn every few milliseconds. */
export async function packMatrix({ shape, data }: HostTensor<Float32Array>, bits: 4 | 8): Promise<BlockWeight> {
  const blocks = emptyBlocks(shape, bits);
  const [rows, columns] = blocks.shape;
  const step = Math.max(1, Math.floor(SLICE / columns));
  for (let from = 0; from < rows; from += step) {
    roundRows(data, blocks, from, Math.min(rows, from + step));
    await turn();
  }
  return blocks;
}
