/** The cache of models that Hugging Face's own tools keep: its folders, and which of a repository's files make a model. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { ConfigError } from "../errors.ts";

/** A model of a hub: `ORG/NAME`, or one of its GGUF files as `ORG/NAME:QUANT`. */
export interface HubName {
  repo: string;
  quant?: string;
}

const PART = "[A-Za-z0-9](?:[A-Za-z0-9._-]{0,94}[A-Za-z0-9_-])?";
const NAME = new RegExp(`^(${PART}/${PART})(?::([A-Za-z0-9_]{1,40}))?$`);

/** What a name means on a hub; undefined for one that none could have. */
export function parseHubName(name: string): HubName | undefined {
  const [, repo, quant] = NAME.exec(name) ?? [];
  if (repo === undefined || /--|\.\./.test(repo)) return undefined;
  return quant === undefined ? { repo } : { repo, quant };
}

/** The folder that all tools share: HF_HUB_CACHE, else `hub` in HF_HOME, else in the user's cache. */
export function hubCache(env: NodeJS.ProcessEnv = process.env): string {
  const given = env["HF_HUB_CACHE"] || env["HUGGINGFACE_HUB_CACHE"];
  return given || join(hubHome(env), "hub");
}

/** Where Hugging Face's tools keep what is theirs, a token among it. */
export const hubHome = (env: NodeJS.ProcessEnv = process.env): string =>
  env["HF_HOME"] || join(env["XDG_CACHE_HOME"] || join(homedir(), ".cache"), "huggingface");

/** A repository's folder: `blobs/` by hash, `snapshots/COMMIT/` of links to them, `refs/BRANCH` with a commit. */
export const repoFolder = (cache: string, repo: string): string => join(cache, `models--${repo.replace("/", "--")}`);

/** The files of a model: a folder's, or one in GGUF. */
export type ModelFiles = { form: "folder"; files: string[] } | { form: "gguf"; file: string };

/** Taken of a folder besides its weights, where they are there. Weights in other forms run code when they are read. */
const BESIDE =
  /^(?:config|generation_config|tokenizer|tokenizer_config|special_tokens_map|added_tokens)\.json$|^chat_template\.(?:jinja|json)$/;
const WEIGHTS = /^[A-Za-z0-9._-]+\.safetensors(?:\.index\.json)?$/;
const GGUF = /^[A-Za-z0-9._+-]+\.gguf$/i;
/** A file of several, and projectors of pictures: not read. */
const GGUF_PART = /-\d{5}-of-\d{5}\.gguf$/i;
const GGUF_OTHER = /^mmproj|imatrix/i;
/** Which quantization is taken where none is named: small and still good before large. */
const PREFERRED = ["Q4_K_M", "Q4_0", "Q4_1", "IQ4_NL", "Q5_K_M", "Q6_K", "Q8_0", "F16", "BF16", "F32"];

/**
 * Of the names in a repository's first folder those that make a model: weights in safetensors, or the GGUF file of `quant`; where there are no safetensors, one of the
 * GGUF files. Throws ConfigError that lists what there is.
 */
export function filesOfModel(names: readonly string[], { repo, quant }: HubName): ModelFiles {
  const weights = names.filter((name) => WEIGHTS.test(name));
  if (quant === undefined && weights.some((name) => name.endsWith(".safetensors")) && names.includes("config.json"))
    return { form: "folder", files: [...names.filter((name) => BESIDE.test(name)), ...weights].sort() };
  const all = names.filter((name) => GGUF.test(name) && !GGUF_OTHER.test(name));
  const whole = all.filter((name) => !GGUF_PART.test(name)).sort();
  const found = (quant === undefined ? PREFERRED : [quant]).flatMap((one) => whole.filter((name) => isOf(name, one)));
  const [file] = quant === undefined && found.length === 0 ? whole : found;
  if (file !== undefined) return { form: "gguf", file };
  if (
    all.length > whole.length &&
    (quant === undefined || all.some((name) => isOf(name.replace(GGUF_PART, ".gguf"), quant)))
  )
    throw new ConfigError(
      `${repo}: expected a GGUF file in one piece, it has several pieces; merge them with llama.cpp's gguf-split`,
    );
  if (whole.length > 0)
    throw new ConfigError(
      `${repo}: expected a GGUF file of ${quant}, it has ${whole.join(", ")}; name one by what its name ends in`,
    );
  throw new ConfigError(
    quant === undefined
      ? `${repo}: expected a config.json with weights in safetensors, or a GGUF file, it has neither`
      : `${repo}: expected a GGUF file of ${quant}, it has no GGUF file; leave out :${quant}`,
  );
}

/** Whether the name of a GGUF file ends in a quantization's: `model-Q4_0.gguf`. */
function isOf(name: string, quant: string): boolean {
  const stem = name.slice(0, -".gguf".length).toLowerCase();
  const end = quant.toLowerCase();
  return stem.endsWith(end) && !/[a-z0-9]/.test(stem.at(-end.length - 1) ?? "-");
}

/** A commit's hash. */
export const COMMIT = /^[0-9a-f]{40}$/;

/** Where a model lies that was pulled, by this program or another; undefined where it was not. Throws ConfigError where a part of it is there only. */
export function findPulled(name: string, cache = hubCache()): string | undefined {
  const hub = parseHubName(name);
  if (hub === undefined) return undefined;
  const folder = repoFolder(cache, hub.repo);
  const ref = join(folder, "refs", "main");
  if (!existsSync(ref)) return undefined;
  const commit = readFileSync(ref, "utf8").trim();
  const snapshot = join(folder, "snapshots", commit);
  if (!COMMIT.test(commit) || !existsSync(snapshot)) return undefined;
  // a link that leads nowhere is a file that is not there
  const names = readdirSync(snapshot).filter((file) => existsSync(join(snapshot, file)));
  try {
    const files = filesOfModel(names, hub);
    return files.form === "folder" ? snapshot : join(snapshot, files.file);
  } catch (error) {
    throw new ConfigError(`${(error as Error).message} (in ${snapshot}); pull it: sumbi pull ${name}`);
  }
}
