/** Which weights these are, by every byte of them. */
import { setImmediate as turn } from "node:timers/promises";
import { crc32 } from "node:zlib";
import type { ModelConfig, Weight } from "../model/index.ts";
import type { OnProgress } from "../progress.ts";
import { digest } from "./blockStore.ts";

/** Bytes between which the event loop gets a turn. */
const SLICE = 32 << 20;

/** A digest of a config and of the weights in the form that they are computed with. Reads all of them, about 1 GB a second. */
export async function weightsDigest(
  config: ModelConfig,
  weights: ReadonlyMap<string, Weight>,
  onProgress?: OnProgress,
): Promise<string> {
  const parts = (weight: Weight) => (weight.dtype === "blocks" ? [weight.codes, weight.scales] : [weight.data]);
  const all = [...weights].sort(([a], [b]) => (a < b ? -1 : 1));
  const total = all.reduce((sum, [, weight]) => parts(weight).reduce((own, part) => own + part.byteLength, sum), 0);
  const said: unknown[] = [];
  let done = 0;
  for (const [key, weight] of all)
    for (const { buffer, byteOffset, byteLength } of parts(weight)) {
      let sum = 0;
      for (let at = 0; at < byteLength; at += SLICE) {
        sum = crc32(new Uint8Array(buffer, byteOffset + at, Math.min(SLICE, byteLength - at)), sum);
        onProgress?.({
          label: "telling the weights apart",
          done: Math.min(done + at + SLICE, total),
          total,
          unit: "bytes",
        });
        await turn();
      }
      done += byteLength;
      said.push([key, weight.dtype, weight.shape, sum]);
    }
  return digest(JSON.stringify(config), JSON.stringify(said));
}
