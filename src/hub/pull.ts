/** A model of a hub into the cache that all of Hugging Face's tools share. */
import { existsSync, readFileSync } from "node:fs";
import { copyFile, mkdir, rename, rm, symlink } from "node:fs/promises";
import { dirname, join, relative } from "node:path";
import { HubApiError, listFiles, modelInfo } from "@huggingface/hub";
import {
  atomicFile,
  COMMIT,
  filesOfModel,
  freeBytes,
  type HubName,
  hubCache,
  hubHome,
  release,
  repoFolder,
  temporaryIn,
} from "../checkpoint/index.ts";
import { ConfigError, DiskError } from "../errors.ts";
import { bytes as sizeText } from "../format.ts";
import type { OnProgress } from "../progress.ts";
import { download, type Hub, type HubFile } from "./download.ts";

export interface PullOptions {
  /** A branch, a tag or a commit. Default main. */
  revision?: string;
  cache?: string;
  onProgress?: OnProgress;
}

export interface Pulled {
  repo: string;
  commit: string;
  form: "folder" | "gguf";
  /** The model: a folder, or a GGUF file. */
  path: string;
  files: string[];
  /** Of all files, and of those that came now. */
  bytes: number;
  downloaded: number;
}

const OFFICIAL = "https://huggingface.co";

/** The hub that the environment names (HF_ENDPOINT, for mirrors) and the token for it (HF_TOKEN, or what `hf auth login` left). Throws ConfigError. */
export function hubOf(env: NodeJS.ProcessEnv = process.env): Hub {
  if (/^(1|true|yes|on)$/i.test(env["HF_HUB_OFFLINE"] ?? ""))
    throw new ConfigError("HF_HUB_OFFLINE is set: nothing is asked of a hub; unset it to pull");
  const url = (env["HF_ENDPOINT"] || OFFICIAL).replace(/\/+$/, "");
  if (!/^https?:\/\/[^/]/.test(url)) throw new ConfigError(`HF_ENDPOINT: expected an address of http, got ${url}`);
  const token = (env["HF_TOKEN"] || env["HUGGING_FACE_HUB_TOKEN"] || storedToken(env)).trim();
  return token === "" ? { url } : { url, token };
}

function storedToken(env: NodeJS.ProcessEnv): string {
  try {
    return readFileSync(env["HF_TOKEN_PATH"] || join(hubHome(env), "token"), "utf8");
  } catch {
    return "";
  }
}

/** No repository of a model has so many files in its first folder. */
const ENTRIES_MOST = 10_000;

/**
 * Pulls a model's files that are not there yet, checks their hashes, and makes it found by its name. Until all are there the earlier version stays what the name means. Throws
 * ConfigError for names the hub does not have, CheckpointError for content that is not what the hub names, DiskError.
 */
export async function pull(hub: Hub, name: HubName, options: PullOptions = {}): Promise<Pulled> {
  const { revision = "main", cache = hubCache(), onProgress } = options;
  const { repo } = name;
  const { commit, files: listed } = await look(hub, repo, revision);
  const chosen = filesOfModel([...listed.keys()], name);
  const names = chosen.form === "folder" ? chosen.files : [chosen.file];
  const files = names.map((path) => listed.get(path)!);
  const folder = repoFolder(cache, repo);
  const [blobs, snapshot] = [join(folder, "blobs"), join(folder, "snapshots", commit)];
  for (const dir of [blobs, snapshot]) await mkdir(dir, { recursive: true }).catch(refused);
  const total = files.reduce((sum, { size }) => sum + size, 0);
  await checkRoom(blobs, files);
  let [before, downloaded] = [0, 0];
  for (const file of files) {
    const tell = (done: number) =>
      onProgress?.({
        label: `pulling ${repo}`,
        done: before + done,
        total,
        unit: "bytes",
        note: file.path,
      });
    const { blob, bytes } = await download(hub, { repo, commit, blobs }, file, tell).catch(refused);
    await link(blob, join(snapshot, file.path));
    downloaded += bytes;
    before += file.size;
  }
  if (!COMMIT.test(revision)) await atomicFile(join(folder, "refs", revision), commit);
  const path = chosen.form === "folder" ? snapshot : join(snapshot, chosen.file);
  return { repo, commit, form: chosen.form, path, files: names, bytes: total, downloaded };
}

/** The commit of a revision and the files in its first folder. */
async function look(
  { url, token, signal }: Hub,
  repo: string,
  revision: string,
): Promise<{ commit: string; files: Map<string, HubFile> }> {
  const how = {
    hubUrl: url,
    accessToken: token,
    fetch: ((to, init) => fetch(to, { ...init, signal })) as typeof fetch,
  };
  try {
    const { sha: commit } = await modelInfo({ name: repo, revision, additionalFields: ["sha"], ...how });
    if (typeof commit !== "string" || !COMMIT.test(commit))
      throw new ConfigError(`${url}: expected the commit of ${repo}, got ${JSON.stringify(commit)}; is it a hub?`);
    const files = new Map<string, HubFile>();
    let entries = 0;
    for await (const { type, path, size, oid, lfs } of listFiles({ repo, revision: commit, ...how })) {
      if (++entries > ENTRIES_MOST)
        throw new ConfigError(`${repo}: expected at most ${ENTRIES_MOST} files, got more; name another repository`);
      const etag = lfs?.oid ?? oid ?? "";
      const length = lfs?.size ?? size;
      if (type !== "file" || !/^[0-9a-f]{40}([0-9a-f]{24})?$/.test(etag) || !Number.isSafeInteger(length)) continue;
      files.set(path, { path, size: length, etag });
    }
    return { commit, files };
  } catch (error) {
    throw signal?.aborted ? signal.reason : explained(error, repo, url, token !== undefined);
  }
}

function explained(error: unknown, repo: string, url: string, known: boolean): unknown {
  if (error instanceof HubApiError && [401, 403, 404].includes(error.statusCode))
    return new ConfigError(
      `${repo}: ${url} has no such model that ${known ? "the token" : "everybody"} may read (${error.statusCode}). ` +
        (known
          ? "Check its name; a gated one wants its terms accepted on its page"
          : "Check its name; for one that is private or gated set HF_TOKEN"),
    );
  if (error instanceof HubApiError || error instanceof TypeError || error instanceof SyntaxError)
    return new ConfigError(
      `${url}: expected a hub's answer, got: ${[error.message, (error.cause as Error | undefined)?.message].filter(Boolean).join(": ")}. For a mirror set HF_ENDPOINT`,
      { cause: error },
    );
  return error;
}

/** Throws DiskError where what is still to come has no room. */
async function checkRoom(blobs: string, files: readonly HubFile[]): Promise<void> {
  const wanted = files.reduce((sum, { size, etag }) => sum + (existsSync(join(blobs, etag)) ? 0 : size), 0);
  const free = await freeBytes(blobs);
  if (wanted > free)
    throw new DiskError(
      `${blobs}: expected room for ${sizeText(wanted)}, there are ${sizeText(free)}; set HF_HOME to a folder on a larger disk`,
    );
}

/** Makes a snapshot's file of a blob: a link, or a copy where the system forbids links. What stands there already under that name stays when it is the same. */
async function link(blob: string, at: string): Promise<void> {
  const temporary = temporaryIn(dirname(at));
  try {
    await symlink(relative(dirname(at), blob), temporary).catch(() => copyFile(blob, temporary));
    await rename(temporary, at);
  } finally {
    await rm(temporary, { force: true });
    release(temporary);
  }
}

/** The system's refusals of files in a reader's terms. */
function refused(error: unknown): never {
  const { code, path, message } = error as NodeJS.ErrnoException;
  if (code !== undefined && /^E(NOSPC|DQUOT|ROFS|ACCES|PERM|NOTDIR|EXIST|MFILE)$/.test(code))
    throw new DiskError(`${path ?? "the cache"}: ${message}; set HF_HOME to a folder that may be written`, {
      cause: error,
    });
  throw error;
}
