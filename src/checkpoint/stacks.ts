/** Experts in stacks: transformers 5 can save a layer's experts as two tensors (`save_original_format=False`) instead of three an expert. */
import { CheckpointError } from "../errors.ts";
import { type ModelConfig, mixtureOf } from "../model/index.ts";
import { sizeOf } from "../tensor/index.ts";
import { quoted } from "./header.ts";
import type { Tensors } from "./tensors.ts";

const EXPERT = /^(.*\.mlp\.experts\.)(\d+)\.(gate|up|down)_proj\.weight$/;
const STACK = /\.mlp\.experts\.(gate_up|down)_proj$/;

/** Where a tensor lies: under a key, or from its number `start` on. */
export interface Place {
  key: string;
  start?: number;
}

/** How many tensors a folder holds, a stack counted as the experts' own where it has as many as config.json says. */
export function tensorsHeld(folder: Tensors, config: ModelConfig): number {
  const { experts } = mixtureOf(config);
  const weigh = (key: string) => {
    const [, kind] = STACK.exec(key) ?? [];
    return kind === undefined || folder.info(key).shape[0] !== experts ? 1 : kind === "down" ? experts : 2 * experts;
  };
  return folder.keys().reduce((sum, key) => sum + weigh(key), 0);
}

/**
 * Where an expert's matrix of `shape` lies in the stack of its layer: gate_up_proj [E, 2M, D], gate's rows first, or down_proj [E, D, M].
 * undefined where there is none. Throws CheckpointError for a stack of another shape, or in FP8.
 */
export function placeInStack(
  folder: Tensors,
  config: ModelConfig,
  key: string,
  shape: readonly number[],
): Place | undefined {
  const [, at, expert, part] = EXPERT.exec(key) ?? [];
  if (at === undefined) return undefined;
  const down = part === "down";
  const stack = `${at}${down ? "down" : "gate_up"}_proj`;
  if (!folder.has(stack)) return undefined;
  const { shape: got, dtype } = folder.info(stack);
  const [rows = 0, columns = 0] = shape;
  const expected = [mixtureOf(config).experts, down ? rows : 2 * rows, columns];
  if (got.join() !== expected.join())
    throw new CheckpointError(
      `${folder.dir}: ${stack}: expected [${expected.join(", ")}] by config.json, got [${got.join(", ")}]`,
    );
  if (dtype === "f8e4m3")
    throw new CheckpointError(
      `${folder.dir}: ${quoted(stack)}: expected experts in FP8 one by one, got a stack of them. Save it with save_original_format=True`,
    );
  const size = sizeOf(shape);
  return { key: stack, start: (down ? Number(expert) : 2 * Number(expert) + (part === "up" ? 1 : 0)) * size };
}
