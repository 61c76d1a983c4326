import { readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { atomicFolder, isRecord, quoted, readJsonFile, recoverFolder, removeFolder, SHARD_BYTES, TensorFolder, writeShards } from "../checkpoint/index.ts";
import { CheckpointError } from "../errors.ts";
import { DTYPES, sizeOf, type DType, type TypedArray } from "../tensor/index.ts";

const STATE_VERSION = 1;
const STATE_BYTES_MAX = 256 * 2 ** 20;

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
  close(): Promise<void>;
}

/** Refuses what JSON would silently turn into something else. */
function exactJson(value: unknown, where: string): void {
  if (typeof value === "number" ? Number.isFinite(value) : value === null || ["string", "boolean"].includes(typeof value)) return;
  if (Array.isArray(value)) return value.forEach((item, i) => exactJson(item, `${where}[${i}]`));
  const isPlain = isRecord(value) && [Object.prototype, null].includes(Object.getPrototypeOf(value));
  if (!isPlain) throw new CheckpointError(`${where}: expected a value that JSON keeps exactly, got ${String(value)}`);
  for (const [key, item] of Object.entries(value)) exactJson(item, `${where}.${key}`);
}

/**
 * Writes a training state folder: state.json and safetensors. Whole or not at all, like a checkpoint; an existing state
 * of the same name is replaced. Throws CheckpointError.
 */
export async function saveState(dir: string, { state, tensors }: TrainingState): Promise<void> {
  exactJson(state, `${dir}: state`);
  const raw = [...tensors].map(({ key, shape, data, dtype = "f32" }) => ({
    key,
    dtype,
    shape,
    bytes: async () => {
      const values = typeof data === "function" ? await data() : data;
      if (!(values instanceof DTYPES[dtype].array) || values.length !== sizeOf(shape))
        throw new CheckpointError(`${dir}: tensor ${quoted(key)}: expected ${sizeOf(shape)} values of ${dtype}, got ${values.length} in a ${values.constructor.name}`);
      return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
    },
  }));
  const json = `${JSON.stringify({ version: STATE_VERSION, state })}\n`;
  const neededBytes = raw.reduce((sum, { dtype, shape }) => sum + sizeOf(shape) * DTYPES[dtype].bytes + 256, json.length);
  await atomicFolder(
    dir,
    async (temporary) => {
      await writeFile(join(temporary, "state.json"), json);
      await writeShards(temporary, raw, SHARD_BYTES);
    },
    { neededBytes, overwrite: refuseForeign },
  );
}

async function refuseForeign(dir: string): Promise<void> {
  const names = await readdir(dir);
  if (names.length > 0 && !names.includes("state.json"))
    throw new CheckpointError(`${dir}: holds files but no state.json; a folder that is not a training state is not replaced`);
}

/** Opens a training state and checks every file's header. Throws CheckpointError. */
export async function loadState(dir: string): Promise<LoadedState> {
  const tensors = await TensorFolder.open(dir);
  try {
    const path = join(dir, "state.json");
    const { version, state } = await readJsonFile(path, STATE_BYTES_MAX);
    if (version !== STATE_VERSION || !isRecord(state))
      throw new CheckpointError(`${path}: expected {version: ${STATE_VERSION}, state}, got version ${quoted(version)}`);
    return { dir, state, tensors, close: () => tensors.close() };
  } catch (error) {
    await tensors.close();
    throw error;
  }
}

const stepName = (step: number): string => `step-${String(step).padStart(8, "0")}`;

/** The last few states of a run, `step-00000100` and so on in one folder. */
export class StateHistory {
  /** Keeps the newest `keepLast` states. */
  constructor(
    readonly dir: string,
    private readonly keepLast = 3,
  ) {
    if (!Number.isSafeInteger(keepLast) || keepLast < 1) throw new CheckpointError(`${dir}: expected to keep at least 1 state, got ${keepLast}`);
  }

  /** Saves the state of a step, then removes what is older than the last few; returns its folder. */
  async save(step: number, state: TrainingState): Promise<string> {
    if (!Number.isSafeInteger(step) || step < 0) throw new CheckpointError(`${this.dir}: expected a step number, got ${step}`);
    const dir = join(this.dir, stepName(step));
    await saveState(dir, state);
    // After a rollback, states of later steps belong to the run that was given up; they must not win at the next resume.
    const states = await this.list();
    const upTo = states.filter((kept) => kept.step <= step);
    for (const { dir: given } of [...states.filter((kept) => kept.step > step), ...upTo.slice(0, -this.keepLast)])
      await removeFolder(given);
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

  /** Opens the newest state that can be read; undefined when there is none. `skipped` says what was wrong with newer ones. */
  async loadLatest(): Promise<(LoadedState & { step: number; skipped: string[] }) | undefined> {
    const skipped: string[] = [];
    for (const { step, dir } of (await this.list()).reverse()) {
      try {
        return { ...(await loadState(dir)), step, skipped };
      } catch (error) {
        if (!(error instanceof CheckpointError)) throw error;
        skipped.push(error.message);
      }
    }
    if (skipped.length > 0) throw new CheckpointError(`${this.dir}: no state can be read: ${skipped.join("; ")}`);
    return undefined;
  }
}
