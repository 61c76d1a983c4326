/** One file of a hub into the cache, by its hash: goes on where it was cut off, and is there only when the hash is right. */
import { createHash, type Hash } from "node:crypto";
import { createReadStream } from "node:fs";
import { open, rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { downloadFile, HubApiError } from "@huggingface/hub";
import { CheckpointError } from "../errors.ts";
import { claimPartial } from "./partial.ts";

/** A file of a repository at one commit. */
export interface HubFile {
  path: string;
  size: number;
  /** SHA-256 of what is stored apart, or git's SHA-1 of a blob: also the name under which the cache keeps it. */
  etag: string;
}

/** A hub, and how to speak to it. */
export interface Hub {
  url: string;
  token?: string;
  signal?: AbortSignal;
  /** Longest silence in the midst of a file before it is asked for again, in ms. */
  silenceMs?: number;
  /** Wait before the second attempt in ms, doubled before each one after. */
  retryMs?: number;
}

const ATTEMPTS = 5;
const SILENCE_MS = 30_000;
const RETRY_MS = 250;

/** The hash that a file's etag is. Git hashes a header and the content. */
function hashFor({ etag, size }: HubFile): Hash {
  return etag.length === 64 ? createHash("sha256") : createHash("sha1").update(`blob ${size}\0`);
}

/**
 * Downloads a file unless its blob is there. `onBytes` is told how many of its bytes there are. A connection that breaks is tried again from where it broke. Throws CheckpointError
 * where the bytes are not those that the hub names.
 */
export async function download(
  hub: Hub,
  { repo, commit, blobs }: { repo: string; commit: string; blobs: string },
  file: HubFile,
  onBytes: (bytes: number) => void,
): Promise<{ blob: string; bytes: number }> {
  const blob = join(blobs, file.etag);
  const there = await stat(blob).catch(() => undefined);
  if (there?.size === file.size) return { blob, bytes: 0 };
  if (there)
    throw new CheckpointError(`${blob}: expected ${file.size} bytes, got ${there.size}; remove it and pull again`);
  const partial = await claimPartial(blobs, file.etag);
  if (partial.bytes > file.size) {
    await rm(partial.path);
    partial.bytes = 0;
  }
  const hash = hashFor(file);
  if (partial.bytes > 0) for await (const chunk of createReadStream(partial.path)) hash.update(chunk as Buffer);
  const into = await open(partial.path, "a");
  let have = partial.bytes;
  const got = async (chunk: Uint8Array): Promise<void> => {
    if (have + chunk.length > file.size)
      throw new CheckpointError(`${repo}: ${file.path}: expected ${file.size} bytes, got more; pull again`);
    await into.writeFile(chunk);
    hash.update(chunk);
    have += chunk.length;
    onBytes(have);
  };
  try {
    onBytes(have);
    for (let failures = 0; have < file.size; ) {
      const before = have;
      try {
        await receive(hub, { repo, commit }, file, have, got);
        if (have === before) throw new TypeError("the connection ended early");
      } catch (error) {
        hub.signal?.throwIfAborted();
        if (!isPassing(error)) throw error;
        failures = have > before ? 0 : failures + 1;
        if (failures === ATTEMPTS)
          throw new CheckpointError(
            `${repo}: ${file.path}: expected ${file.size} bytes, got ${have} and ${ATTEMPTS} times no more (${error instanceof Error ? error.message : error}); the same command goes on from there`,
            { cause: error },
          );
        await sleep((hub.retryMs ?? RETRY_MS) * 2 ** failures, undefined, { signal: hub.signal });
      }
    }
    await into.sync();
  } finally {
    await into.close();
  }
  const digest = hash.digest("hex");
  if (digest !== file.etag) {
    await rm(partial.path);
    throw new CheckpointError(
      `${repo}: ${file.path}: expected content of hash ${file.etag}, got ${digest}; it was damaged on its way: pull again`,
    );
  }
  await rename(partial.path, blob);
  return { blob, bytes: file.size - partial.bytes };
}

/** Asks for a file's bytes from `from` on and passes them on until they end or nothing has come for too long. */
async function receive(
  hub: Hub,
  { repo, commit }: { repo: string; commit: string },
  file: HubFile,
  from: number,
  got: (chunk: Uint8Array) => Promise<void>,
): Promise<void> {
  const silence = new AbortController();
  const signal = hub.signal ? AbortSignal.any([hub.signal, silence.signal]) : silence.signal;
  const giveUp = () => silence.abort(new TypeError("nothing came for too long"));
  const watch = setTimeout(giveUp, hub.silenceMs ?? SILENCE_MS);
  try {
    const blob = await downloadFile({
      ...{ repo, path: file.path, revision: commit, hubUrl: hub.url, accessToken: hub.token },
      fetch: (url, init) => fetch(url, { ...init, signal }),
    });
    if (blob === null)
      throw new CheckpointError(`${repo}: expected a file ${file.path} at ${commit}, the hub has none`);
    if (blob.size !== file.size)
      throw new CheckpointError(`${repo}: ${file.path}: expected ${file.size} bytes, the hub offers ${blob.size}`);
    for await (const chunk of blob.slice(from).stream() as unknown as AsyncIterable<Uint8Array>) {
      watch.refresh();
      await got(chunk);
    }
  } catch (error) {
    throw silence.signal.aborted ? silence.signal.reason : error;
  } finally {
    clearTimeout(watch);
  }
}

/** Faults of the way there, which may be gone in a moment. A stream's own come as their message alone. */
function isPassing(error: unknown): boolean {
  if (error instanceof HubApiError) return error.statusCode >= 500 || error.statusCode === 429;
  return error instanceof TypeError || typeof error === "string";
}
