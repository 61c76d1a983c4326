/** What every kind of checkpoint offers: tensors by Hugging Face's names, read when asked for. */
import type { BlockWeight } from "../model/index.ts";
import type { HostTensor } from "../tensor/index.ts";

export interface StoredTensor {
  /** The type in the file: one of ours, or ggml's name of a kind of blocks. */
  dtype: string;
  shape: readonly number[];
  /** Name of the file that it is in. */
  file: string;
  /** Size in the file. */
  bytes: number;
}

export interface TensorPart {
  start: number;
  shape: readonly number[];
}

export interface Tensors {
  /** The path, for messages. */
  readonly dir: string;
  /** What a person should know about what the files do not say. */
  readonly notes?: readonly string[];
  keys(): string[];
  has(key: string): boolean;
  /** Throws CheckpointError when there is no such tensor. */
  info(key: string): StoredTensor;
  /** Reads a tensor with the dtype it has in the file; short floats come as raw bits. */
  read(key: string): Promise<HostTensor>;
  /** Reads a tensor as f32, into `out` when given. `part`: what lies in it from its number `start` on, for the stacks that safetensors have. */
  readF32(key: string, out?: Float32Array, part?: TensorPart): Promise<HostTensor<Float32Array>>;
  /** A matrix that the file has in blocks of ours, exactly; undefined for another. Absent where no file can. */
  readBlocks?(key: string): Promise<BlockWeight | undefined>;
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}
