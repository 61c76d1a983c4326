/** `--weights`, `--adapter`, `--no-keep-packed` and `--deterministic`, as serve and chat have them, and what is said of the form that weights are in. */
import { type Command, Option } from "commander";
import { bytes } from "../format.ts";
import { CACHE_FORMS, type CacheForm, WEIGHTS_FORMS, type WeightsForm } from "../model/index.ts";
import type { ModelInfo } from "../serve/index.ts";

export interface WeightsFlags {
  weights?: WeightsForm;
  /** False with --no-keep-packed. */
  keepPacked?: boolean;
  deterministic?: boolean;
  cache?: CacheForm;
  /** The folder of an adapter. */
  adapter?: string;
}

/** Adds the options to a verb. */
export function addWeightsOptions(command: Command): Command {
  return command
    .addOption(
      new Option(
        "--weights <form>",
        "form of the weights in memory: q4 and q8 are blocks of 4 and 8 bits (default: the most exact that memory has room for)",
      ).choices(WEIGHTS_FORMS),
    )
    .addOption(
      new Option(
        "--cache <form>",
        "form of the past of conversations in memory: int8 takes a quarter of what f32 does, loses a little and takes longer (default: f32)",
      ).choices(CACHE_FORMS),
    )
    .option("--adapter <dir>", "an adapter of this model (PEFT's LoRA), merged into its weights as they are read")
    .option("--no-keep-packed", "keep no packed copy of q4 or q8 weights on disk for the next start")
    .option(
      "--deterministic",
      "the same bits in any company with q4 and q8 too, as with f32; slower alone on processors without VNNI",
    );
}

/** The flags as loading takes them: kept where large, unless it was said that they should not be. */
export const weightsOptions = ({ weights, keepPacked, deterministic, cache, adapter }: WeightsFlags) => ({
  weights,
  cache,
  ...(adapter === undefined ? {} : { adapter }),
  ...(keepPacked === false ? { keepPacked } : {}),
  ...(deterministic ? { deterministic } : {}),
});

/** `weights q4: 0.9 GB in blocks of 4 bits, the most exact that memory has room for (--weights q8 or f32 for others)`. */
export function weightsInWords(about: NonNullable<ModelInfo["weights"]>): string {
  const { form, chosen } = about;
  if (form === "file")
    return `weights as the file has them: ${bytes(about.bytes)} in memory (--weights q4, q8 or f32 for others)`;
  const as = form === "f32" ? "in full" : `in blocks of ${form === "q4" ? 4 : 8} bits`;
  const others = WEIGHTS_FORMS.filter((other) => other !== form).join(" or ");
  const why = chosen === "asked" ? "" : `, the most exact that memory has room for (--weights ${others} for another)`;
  return `weights ${form}: ${bytes(about.bytes)} ${as}${why}`;
}
