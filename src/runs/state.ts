/** Training states on disk: whole or not at all, and known by their checksums. */
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { readdir, rename, writeFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { crc32 } from "node:zlib";
import { z } from "zod";
import {
  atomicFolder,
  openRegularFile,
  quoted,
  readJsonFile,
  recoverFolder,
  removeFolder,
  SHARD_BYTES,
  TensorFolder,
  writeShards,
} from "../checkpoint/index.ts";
import { CheckpointError } from "../errors.ts";
import { isRecord } from "../json.ts";
import { DTYPES, type DType, sizeOf, type TypedArray } from "../tensor/index.ts";
import { validate } from "../validate.ts";

const STATE_VERSION = 2;
const STATE_BYTES_MAX = 256 * 2 ** 20;
const HEAD_BYTES_MAX = 100_000_000;
/** Checksums are taken of so much at a time, so that others have their turn. */
const CHUNK_BYTES = 32 * 2 ** 20;

const checksum = z.number().int().nonnegative().max(0xffffffff);
const stateSchema = z.object({
  /** SHA-256 of the rest of the file as JSON. */
  digest: z.string(),
  version: z.literal(STATE_VERSION),
  state: z.record(z.string(), z.unknown()),
  /** CRC-32 of every tensor's bytes. */
  tensors: z.record(z.string(), checksum),
  /** CRC-32 of every file's bytes before the tensors'. */
  heads: z.record(z.string(), checksum),
});

/** A tensor of the training state, stored bit for bit. `dtype` is f32 unless given. */
export interface StateTensor {
  key: string;
  shape: readonly number[];
  data: TypedArray | (() => TypedArray | Promise<TypedArray>);
  dtype?: DType;
}

export interface TrainingState {
  /** Anything JSON holds exactly: step, seeds, positions. NaN, infinities and undefined are refused. */
  state: Record<string, unknown>;
  tensors: Iterable<StateTensor>;
}

/** An opened state: `state` as saved, tensors read when asked for. Close it when done. */
export interface LoadedState {
  dir: string;
  state: Record<string, unknown>;
  tensors: TensorFolder;
  /** Reads an f32 tensor into memory of the caller. Throws CheckpointError when it is not as it was saved. */
  readInto(key: string, out: Float32Array): Promise<void>;
  close(): Promise<void>;
}

/** Refuses what JSON would silently turn into something else. */
function exactJson(value: unknown, where: string): void {
  if (
    typeof value === "number" ? Number.isFinite(value) : value === null || ["string", "boolean"].includes(typeof value)
  )
    return;
  if (Array.isArray(value)) return value.forEach((item, i) => exactJson(item, `${where}[${i}]`));
  const isPlain = isRecord(value) && [Object.prototype, null].includes(Object.getPrototypeOf(value));
  if (!isPlain) throw new CheckpointError(`${where}: expected a value that JSON keeps exactly, got ${String(value)}`);
  for (const [key, item] of Object.entries(value)) exactJson(item, `${where}.${key}`);
}

/** CRC-32 finds every single flipped bit and every burst of up to 32; what it misses is one in four thousand million. */
async function checksumOf(bytes: Uint8Array): Promise<number> {
  let sum = 0;
  for (let at = 0; at < bytes.length; at += CHUNK_BYTES) {
    sum = crc32(bytes.subarray(at, at + CHUNK_BYTES), sum);
    if (bytes.length > CHUNK_BYTES) await new Promise(setImmediate);
  }
  return sum;
}

const bytesOf = (values: TypedArray): Uint8Array => new Uint8Array(values.buffer, values.byteOffset, values.byteLength);

const digestOf = (rest: object): string => createHash("sha256").update(JSON.stringify(rest)).digest("hex");

/** Checksums of what stands in a state's files besides the tensors' bytes: safetensors' headers, and the index of several. */
async function headsOf(dir: string): Promise<Record<string, number>> {
  const heads: Record<string, number> = {};
  for (const name of (await readdir(dir)).sort()) {
    if (!/^model.*\.safetensors(\.index\.json)?$/.test(name)) continue;
    const path = join(dir, name);
    const { handle, fileBytes: size } = await openRegularFile(path);
    try {
      const start = Buffer.alloc(8);
      await handle.read(start, 0, 8, 0);
      const headBytes = name.endsWith(".safetensors") ? 8 + Number(start.readBigUInt64LE()) : size;
      if (headBytes > Math.min(size, HEAD_BYTES_MAX))
        throw new CheckpointError(`${path}: expected a header within its ${size} bytes, got ${headBytes}`);
      const head = Buffer.alloc(headBytes);
      await handle.read(head, 0, headBytes, 0);
      heads[name] = await checksumOf(head);
    } finally {
      await handle.close();
    }
  }
  return heads;
}

/**
 * Writes a training state folder: state.json and safetensors. Whole or not at all, like a checkpoint; an existing state
 * of the same name is replaced. `confirm` is called when all is written, and may still throw. Throws CheckpointError.
 */
export async function saveState(dir: string, { state, tensors }: TrainingState, confirm?: () => void): Promise<void> {
  exactJson(state, `${dir}: state`);
  const sums: Record<string, number> = {};
  const raw = [...tensors].map(({ key, shape, data, dtype = "f32" }) => ({
    key,
    dtype,
    shape,
    bytes: async () => {
      const values = typeof data === "function" ? await data() : data;
      if (!(values instanceof DTYPES[dtype].array) || values.length !== sizeOf(shape))
        throw new CheckpointError(
          `${dir}: tensor ${quoted(key)}: expected ${sizeOf(shape)} values of ${dtype}, got ${values.length} in a ${values.constructor.name}`,
        );
      const bytes = bytesOf(values);
      sums[key] = await checksumOf(bytes);
      return bytes;
    },
  }));
  const jsonBytes = JSON.stringify(state).length + 1024;
  const neededBytes = raw.reduce((sum, { dtype, shape }) => sum + sizeOf(shape) * DTYPES[dtype].bytes + 256, jsonBytes);
  await atomicFolder(
    dir,
    async (temporary) => {
      await writeShards(temporary, raw, SHARD_BYTES);
      const rest = { version: STATE_VERSION, state, tensors: sums, heads: await headsOf(temporary) };
      await writeFile(join(temporary, "state.json"), `${JSON.stringify({ digest: digestOf(rest), ...rest })}\n`);
    },
    { neededBytes, overwrite: refuseForeign, confirm },
  );
}

/** Names of the files that a state consists of. */
const OWN_FILE = /^(?:state\.json|model(?:-\d{5,}-of-\d{5,})?\.safetensors|model\.safetensors\.index\.json)$/;

/** What somebody else put into a state's folder. */
const foreignIn = async (dir: string): Promise<string[]> => (await readdir(dir)).filter((name) => !OWN_FILE.test(name));

async function refuseForeign(dir: string): Promise<void> {
  const [name] = await foreignIn(dir);
  if (name !== undefined)
    throw new CheckpointError(
      `${dir}: holds other files (${quoted(name)}); a folder that is not a training state is not replaced`,
    );
}

/** Removes a state, or, when somebody put files of their own beside it, moves all of it out of the states' way: `kept-step-00000100`. */
async function removeState(dir: string): Promise<void> {
  if ((await foreignIn(dir)).length === 0) return removeFolder(dir);
  for (let n = 1; ; n++) {
    const kept = join(dirname(dir), `kept-${basename(dir)}${n === 1 ? "" : `-${n}`}`);
    if (!existsSync(kept)) return rename(dir, kept);
  }
}

/** Opens a training state and checks everything but the tensors' bytes, which are checked as they are read. Throws CheckpointError. */
export async function loadState(dir: string): Promise<LoadedState> {
  const tensors = await TensorFolder.open(dir);
  try {
    const path = join(dir, "state.json");
    const json = await readJsonFile(path, STATE_BYTES_MAX);
    if (json["version"] === 1)
      throw new CheckpointError(
        `${path}: expected version ${STATE_VERSION}, got 1: an older Sumbi wrote it, which kept no checksums and no word on its tokenizer and its texts; it cannot be told what it belongs to`,
      );
    const parsed = validate(stateSchema, json, path, (message) => new CheckpointError(message));
    const { digest, ...rest } = json;
    if (digest !== digestOf(rest)) throw new CheckpointError(`${path}: is not as it was saved (its digest differs)`);
    const heads = await headsOf(dir);
    for (const name of new Set([...Object.keys(heads), ...Object.keys(parsed.heads)]))
      if (heads[name] !== parsed.heads[name])
        throw new CheckpointError(`${join(dir, name)}: is not as it was saved (its header's checksum differs)`);
    const readInto = async (key: string, out: Float32Array) => {
      await tensors.readF32(key, out);
      if ((await checksumOf(bytesOf(out))) !== parsed.tensors[key])
        throw new CheckpointError(`${dir}: tensor ${quoted(key)} is not as it was saved (its checksum differs)`);
    };
    return { dir, state: parsed.state, tensors, readInto, close: () => tensors.close() };
  } catch (error) {
    await tensors.close();
    throw error;
  }
}

const stepName = (step: number): string => `step-${String(step).padStart(8, "0")}`;

/** The last few states of a run, `step-00000100` and so on in one folder. */
export class StateHistory {
  /** States that this process has saved or seen before it wrote any. Only these are removed: another may have taken the run over. */
  readonly #known = new Set<number>();

  /** Keeps the newest `keepLast` states. `confirm` throws when the run is no longer this process's to write. */
  constructor(
    readonly dir: string,
    private readonly keepLast = 3,
    private readonly confirm?: () => void,
  ) {
    if (!Number.isSafeInteger(keepLast) || keepLast < 1)
      throw new CheckpointError(`${dir}: expected to keep at least 1 state, got ${keepLast}`);
  }

  /** Saves the state of a step, then removes what is older than the last few; returns its folder. */
  async save(step: number, state: TrainingState): Promise<string> {
    if (!Number.isSafeInteger(step) || step < 0)
      throw new CheckpointError(`${this.dir}: expected a step number, got ${step}`);
    const dir = join(this.dir, stepName(step));
    this.confirm?.();
    if (existsSync(dir) && (await foreignIn(dir)).length > 0) await removeState(dir);
    await saveState(dir, state, this.confirm);
    this.#known.add(step);
    // After a rollback, states of later steps belong to the run that was given up; they must not win at the next resume.
    const states = (await this.list()).filter((kept) => this.#known.has(kept.step));
    const upTo = states.filter((kept) => kept.step <= step);
    for (const given of [...states.filter((kept) => kept.step > step), ...upTo.slice(0, -this.keepLast)]) {
      this.confirm?.();
      await removeState(given.dir);
      this.#known.delete(given.step);
    }
    return dir;
  }

  /** The states there are, oldest first. */
  async list(): Promise<{ step: number; dir: string }[]> {
    let names = await readdir(this.dir).catch(() => [] as string[]);
    const interrupted = names.flatMap((name) => /^\.(step-\d+)\.sumbi-(?:new|old)$/.exec(name)?.[1] ?? []);
    for (const name of interrupted) await recoverFolder(join(this.dir, name));
    if (interrupted.length > 0) names = await readdir(this.dir);
    return names
      .filter((name) => /^step-\d{8,}$/.test(name))
      .map((name) => ({ step: Number(name.slice("step-".length)), dir: join(this.dir, name) }))
      .sort((a, b) => a.step - b.step);
  }

  /**
   * Gives the states to `use`, newest first, until one is whole: that is, until `use` throws no CheckpointError. `skipped` hears of every other.
   * With `upTo`, later ones are left out of account. Undefined when there is none; throws CheckpointError when none is whole.
   */
  async load<T>(
    use: (state: LoadedState, step: number) => Promise<T>,
    { upTo = Infinity, skipped = () => {} }: { upTo?: number; skipped?: (reason: string) => void } = {},
  ): Promise<T | undefined> {
    const states = await this.list();
    for (const { step } of states) this.#known.add(step);
    const reasons: string[] = [];
    for (const { step, dir } of states.reverse()) {
      if (step > upTo) continue;
      try {
        return await useState(dir, (state) => use(state, step));
      } catch (error) {
        if (!(error instanceof CheckpointError)) throw error;
        reasons.push(error.message);
        skipped(error.message);
      }
    }
    if (reasons.length > 0) throw new CheckpointError(`${this.dir}: no state can be read: ${reasons.join("; ")}`);
    return undefined;
  }

  /** The state of one step and no other. Throws CheckpointError when there is none, or it is not whole. */
  async loadStep<T>(step: number, use: (state: LoadedState) => Promise<T>): Promise<T> {
    const states = await this.list();
    for (const kept of states) this.#known.add(kept.step);
    const found = states.find((kept) => kept.step === step);
    if (found === undefined)
      throw new CheckpointError(
        `${this.dir}: expected a state of step ${step}, found ${states.length === 0 ? "none" : `those of ${states.map((kept) => kept.step).join(", ")}`}`,
      );
    return useState(found.dir, use);
  }
}

async function useState<T>(dir: string, use: (state: LoadedState) => Promise<T>): Promise<T> {
  try {
    const state = await loadState(dir);
    return await use(state).finally(() => state.close());
  } catch (error) {
    const { code, syscall } = error as NodeJS.ErrnoException;
    if (code !== undefined && syscall !== undefined)
      throw new CheckpointError(`${dir}: cannot be read: ${code}`, { cause: error });
    throw error;
  }
}
