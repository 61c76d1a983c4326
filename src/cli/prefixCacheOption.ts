/** `--prefix-cache` and `--prefix-cache-size`, as serve and chat have them. */
import type { Command } from "commander";
import { UsageError } from "../errors.ts";
import type { LoadOptions } from "../serve/index.ts";
import { printError } from "./print.ts";
import { wholeQuantity } from "./quantities.ts";

export interface PrefixCacheFlags {
  prefixCache?: string;
  /** Bytes. */
  prefixCacheSize?: number;
}

const DEFAULT_BYTES = 8e9;

/** Adds the options to a verb. */
export function addPrefixCacheOptions(command: Command): Command {
  return command
    .option(
      "--prefix-cache <dir>",
      "keep prompts that were read in this folder, so that another start need not read them again",
    )
    .option(
      "--prefix-cache-size <bytes>",
      "what they may take there, such as 20G; those used longest ago go first (default: 8G)",
      (text) => wholeQuantity(text, "--prefix-cache-size"),
    );
}

/** The flags as loading takes them. Throws UsageError for a size without a folder. */
export function prefixCacheOptions({
  prefixCache,
  prefixCacheSize,
}: PrefixCacheFlags): Pick<LoadOptions, "prefixCache"> {
  if (prefixCache === undefined) {
    if (prefixCacheSize === undefined) return {};
    throw new UsageError("--prefix-cache-size: expected --prefix-cache DIR beside it, got no folder");
  }
  const onFault = (message: string) => printError(`prefix cache: ${message}; prompts are not kept for a while`);
  return { prefixCache: { dir: prefixCache, bytes: prefixCacheSize ?? DEFAULT_BYTES, onFault } };
}
