/** A checkpoint's weights for generation, in the form asked for or in the most exact one that memory has room for. */
import { isGguf, type KeptWeights, keptWeights, loadWeights, readAdapter } from "../checkpoint/index.ts";
import {
  type CacheForm,
  formBytes,
  type ModelConfig,
  tensorForm,
  WEIGHTS_FORMS,
  type Weight,
  type WeightsForm,
} from "../model/index.ts";
import type { OnProgress } from "../progress.ts";
import { mapFile } from "../runtime/index.ts";
import { sizeOf } from "../tensor/index.ts";
import { asksModule, type DraftsKind } from "./drafts/kinds.ts";
import { giveBack, returnable } from "./returnable.ts";

export interface WeightsOptions {
  /** q4, q8: matrices in blocks of 4 or 8 bits. Default: the most exact form that memory has room for. */
  weights?: WeightsForm;
  /** Whether packed weights are kept on disk, so that the next start takes seconds; default: where they are large. */
  keepPacked?: boolean;
  /** With blocks too a sequence gets the same bits in any company: alone it costs about a quarter more. Weights in f32 do so anyway. */
  deterministic?: boolean;
  /** In what form the past of sequences is kept: int8 takes a quarter of the memory, and loses a little. Default f32. */
  cache?: CacheForm;
  /** Whether blocks may be kept beyond memory: which weights these are is then found out from every byte of them. */
  identify?: boolean;
  /** Where guesses may come from: the model's own module is read for auto and mtp. */
  drafts?: DraftsKind;
  /** The folder of an adapter (PEFT's LoRA), which is merged into the weights as they are read. */
  adapter?: string;
  onProgress?: OnProgress;
}

/** In what form weights are, and why. "file": a GGUF file's blocks of 4 and 8 bits, all else in f32. */
export interface WeightsAbout {
  form: WeightsForm | "file";
  /** Whether somebody asked for it, or memory decided. */
  chosen: "asked" | "by memory";
  /** Of the weights in this form. */
  bytes: number;
}

export interface OpenedWeights {
  config: ModelConfig;
  notes: readonly string[];
  weights: Map<string, Weight>;
  about: WeightsAbout;
  /** Lets go of memory that holds nothing but what lies on disk too. */
  drop(): void;
}

/** Packed weights smaller than this are not worth a file. */
const KEPT_BYTES_MIN = 64e6;
/** Share of free memory that opening a model may take. */
const SHARE_OF_FREE = 0.8;

/**
 * Bytes that opening takes at most: f32 lies in memory while the runtime packs its copy; blocks are packed with a sum beside the scale, out of a
 * file that is mapped or, where it cannot be, out of memory too.
 */
export const openingBytes = (config: ModelConfig, form: WeightsForm): number =>
  form === "f32" ? 2 * formBytes(config, "f32") : formBytes(config, form, 8) + formBytes(config, form) / 4;

/** The most exact form for which so many free bytes are enough; the smallest where none is. */
export const formThatFits = (config: ModelConfig, freeBytes: number): WeightsForm =>
  WEIGHTS_FORMS.toReversed().find((form) => openingBytes(config, form) <= SHARE_OF_FREE * freeBytes) ?? "q4";

/** Reads a checkpoint's weights for generation, of MTP modules the first where drafts may ask it. Throws CheckpointError for what is wrong in it. */
export async function openWeights(
  path: string,
  given: ModelConfig,
  { weights: asked, keepPacked, adapter: adapterDir, drafts = "off", onProgress }: WeightsOptions = {},
): Promise<OpenedWeights> {
  const adapter = adapterDir === undefined ? undefined : await readAdapter(adapterDir, given);
  const form = asked ?? formThatFits(given, process.availableMemory());
  const asFile = asked === undefined && form === "f32" && isGguf(path);
  const chosen = asked ? "asked" : "by memory";
  const notes: string[] = [];
  if (form !== "f32" && !adapter && (keepPacked ?? formBytes(given, form) >= KEPT_BYTES_MIN)) {
    const kept = await keep(path, given, form, onProgress, notes);
    if (kept)
      return {
        ...kept,
        notes: [...notes, ...kept.notes],
        about: { form, chosen, bytes: kept.bytes },
        drop: () => kept.mapped?.drop(),
      };
  }
  const scratch = new Scratch();
  const loaded = await loadWeights(path, given, {
    adapter,
    mtp: asksModule(drafts) && "first",
    form: (key, shape) => {
      const as = tensorForm(form, key, shape);
      return asFile ? "kept" : as;
    },
    into: (key, shape) =>
      typeof tensorForm(form, key, shape) === "number" ? scratch.take(sizeOf(shape)) : returnable(sizeOf(shape)),
    onProgress,
  });
  scratch.end();
  return {
    ...loaded,
    notes: [...notes, ...loaded.notes],
    about: { form: asFile ? "file" : form, chosen, bytes: bytesOf(loaded.weights) },
    drop: () => {},
  };
}

function bytesOf(weights: ReadonlyMap<string, Weight>): number {
  let bytes = 0;
  for (const weight of weights.values())
    bytes += weight.dtype === "blocks" ? weight.codes.byteLength + weight.scales.byteLength : weight.data.byteLength;
  return bytes;
}

async function keep(
  path: string,
  given: ModelConfig,
  form: "q4" | "q8",
  onProgress: OnProgress | undefined,
  notes: string[],
): Promise<KeptWeights | undefined> {
  const scratch = new Scratch();
  const refused = () => {
    notes[0] =
      "packed weights are not kept, so that the next start takes as long: neither the model's folder nor the user's cache took them";
  };
  try {
    const options = { map: mapFile, scratch: (length: number) => scratch.take(length), onProgress };
    return await keptWeights(path, given, form, options, refused);
  } finally {
    scratch.end();
  }
}

/** Memory for one tensor at a time. */
class Scratch {
  #last: Float32Array = new Float32Array();

  take(length: number): Float32Array {
    giveBack(this.#last);
    return (this.#last = returnable(length));
  }

  end(): void {
    giveBack(this.#last);
  }
}
