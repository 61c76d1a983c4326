/** What texts are, told by their bytes: names, sizes and times can stay while the text changes. */
import { createHash } from "node:crypto";
import { statSync } from "node:fs";
import { breather } from "../abort.ts";
import { hashFile } from "../checkpoint/index.ts";
import { DataError } from "../errors.ts";
import type { OnProgress } from "../progress.ts";
import { builtinHash } from "./builtin.ts";
import type { Source } from "./sources.ts";

/** One hash for all that the sources say, in their order: kinds and bytes, not names. The files are read whole, at the disk's speed. */
export async function hashSources(
  sources: readonly Source[],
  onProgress?: OnProgress,
  signal?: AbortSignal,
): Promise<string> {
  const total = sources.reduce((sum, source) => sum + (source.builtin ? 0 : source.bytes), 0);
  let done = 0;
  const onBytes = (bytes: number) => {
    done += bytes;
    onProgress?.({ label: "reading", done: Math.min(done, total), total, unit: "B" });
  };
  const hash = createHash("sha256");
  const breathe = breather(signal);
  for (const { kind, path, bytes, builtin } of sources)
    hash.update(
      JSON.stringify(
        builtin
          ? [kind, builtin.name, builtin.count, await builtinHash(builtin.name, builtin.count, breathe)]
          : [kind, bytes, await hashFile(path, { onBytes, signal, Refusal: DataError })],
      ),
    );
  return hash.digest("hex");
}

/** Names, sizes and times of sources: not what they say, but cheap to compare. */
export const stampOf = (sources: readonly Source[]): string =>
  createHash("sha256")
    .update(JSON.stringify(sources.map(({ path, bytes, mtimeMs }) => [path, bytes, mtimeMs])))
    .digest("hex");

/** Whether files are as they were found: nobody has written them meanwhile. */
export function areUnchanged(sources: readonly Source[]): boolean {
  return sources.every(({ path, bytes, mtimeMs, ctimeMs, builtin }) => {
    const now = builtin ? undefined : statSync(path, { throwIfNoEntry: false });
    return builtin !== undefined || (now?.size === bytes && now.mtimeMs === mtimeMs && now.ctimeMs === ctimeMs);
  });
}
