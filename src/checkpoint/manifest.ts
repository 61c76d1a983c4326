/** sumbi.json: what Sumbi wrote into a folder, so that it can tell its own files from a person's. */
import { lstat, readdir } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { CheckpointError } from "../errors.ts";
import { isMissing } from "./atomic.ts";
import { hashFile } from "./hashFile.ts";
import { parseStrictJson, quoted } from "./header.ts";
import { readSmallFile } from "./safetensors.ts";

export const MANIFEST = "sumbi.json";
const MANIFEST_BYTES_MAX = 16 * 2 ** 20;

/** Names of files that stay inside their folder, on every operating system. */
export const isPlainName = (name: string): boolean => /^\w[\w.-]{0,199}$/.test(name);

const schema = z.object({
  version: z.literal(1),
  kind: z.enum(["model", "tokenizer"]),
  /** The run that it comes from, the recipe's name and the step. */
  run: z.string().max(200).optional(),
  recipe: z.string().max(1000).optional(),
  step: z.number().int().nonnegative().optional(),
  files: z.array(
    z.object({
      name: z.string().refine((name) => isPlainName(name) && name.toLowerCase() !== MANIFEST),
      bytes: z.number().int().nonnegative(),
      sha256: z.string().regex(/^[0-9a-f]{64}$/),
    }),
  ),
});

export type Manifest = z.infer<typeof schema>;
/** What a folder is, and what it comes from. */
export type Origin = Pick<Manifest, "kind" | "run" | "recipe" | "step">;

/** The manifest of a folder; undefined when it has none. Throws CheckpointError when what is there is none of ours. */
export async function readManifest(dir: string): Promise<Manifest | undefined> {
  const path = join(dir, MANIFEST);
  try {
    if (!(await lstat(path)).isFile()) throw new CheckpointError(`${path}: expected a file`);
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
  const parsed = schema.safeParse(parseStrictJson(await readSmallFile(path, MANIFEST_BYTES_MAX), path));
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw new CheckpointError(
    `${path}: not a list of files that Sumbi wrote: ${quoted(issue?.path.join(".") ?? "")}: ${issue?.message ?? ""}`,
  );
}

/** Lists a folder's files with their sizes and hashes, in the order of their names; the text of its sumbi.json. */
export async function manifestText(dir: string, origin: Origin): Promise<string> {
  const files: Manifest["files"] = [];
  for (const name of (await readdir(dir)).sort()) {
    if (name === MANIFEST) continue;
    const { size: bytes } = await lstat(join(dir, name));
    files.push({ name, bytes, sha256: await hashFile(join(dir, name)) });
  }
  return `${JSON.stringify({ version: 1, ...origin, files } satisfies Manifest, null, 2)}\n`;
}

/** "absent", "same" as when Sumbi wrote it, or "changed": another content, a link or a folder in its place. */
export async function stateOf(dir: string, file: Manifest["files"][number]): Promise<"absent" | "same" | "changed"> {
  const path = join(dir, file.name);
  const found = await lstat(path).catch((error: unknown) => {
    if (isMissing(error)) return undefined;
    throw error;
  });
  if (found === undefined) return "absent";
  return found.isFile() && found.size === file.bytes && (await hashFile(path)) === file.sha256 ? "same" : "changed";
}
