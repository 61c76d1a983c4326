/** The metadata of one architecture in a GGUF file, each field looked at once; what nobody asked for is refused by name. */
import { CheckpointError, type SumbiError } from "../../errors.ts";
import { quoted } from "../header.ts";
import type { GgufHeader, MetadataValue } from "./header.ts";

/** llama.cpp's architectures, and what each is in Hugging Face's. */
export const ARCHITECTURES = {
  llama: { model_type: "llama", class: "LlamaForCausalLM" },
  qwen2: { model_type: "qwen2", class: "Qwen2ForCausalLM" },
  qwen3: { model_type: "qwen3", class: "Qwen3ForCausalLM" },
  qwen3moe: { model_type: "qwen3_moe", class: "Qwen3MoeForCausalLM" },
  deepseek2: { model_type: "deepseek_v3", class: "DeepseekV3ForCausalLM" },
} as const;

/** llama.cpp's numbers of the functions that make scores of router logits. */
export const GATING = { softmax: 1, sigmoid: 2 } as const;

export type Architecture = keyof typeof ARCHITECTURES;

/** Metadata under `<architecture>.`, each looked at once at most; what nobody asked for is refused at the end. */
export class Fields {
  readonly #left: Set<string>;

  constructor(
    readonly header: GgufHeader,
    readonly architecture: Architecture,
  ) {
    const prefix = `${architecture}.`;
    this.#left = new Set([...header.metadata.keys()].filter((key) => key.startsWith(prefix)));
  }

  fail(name: string, expected: string, got: unknown): SumbiError {
    const shown = Array.isArray(got) ? "a list" : got === undefined ? "nothing" : quoted(String(got));
    return new CheckpointError(`${this.header.path}: ${this.architecture}.${name}: expected ${expected}, got ${shown}`);
  }

  get(name: string): MetadataValue | undefined {
    const key = `${this.architecture}.${name}`;
    this.#left.delete(key);
    return this.header.metadata.get(key);
  }

  /** A number; a list of one number for each layer counts when they are the same. */
  number(name: string): number | undefined {
    const value = this.get(name);
    if (value === undefined) return undefined;
    const [first, ...others] = Array.isArray(value) ? value : [value];
    if (typeof first !== "number" || !Number.isFinite(first)) throw this.fail(name, "a number", value);
    if (others.some((other) => other !== first))
      throw this.fail(name, "the same number for every layer: layers that differ from each other are not built", value);
    return first;
  }

  count(name: string): number | undefined {
    const value = this.number(name);
    if (value !== undefined && (!Number.isSafeInteger(value) || value < 0))
      throw this.fail(name, "a whole number, 0 or more", value);
    return value;
  }

  needed(name: string): number {
    const value = this.count(name);
    if (value === undefined || value === 0) throw this.fail(name, "a positive whole number", value);
    return value;
  }

  flag(name: string): boolean | undefined {
    const value = this.get(name);
    if (value !== undefined && typeof value !== "boolean") throw this.fail(name, "true or false", value);
    return value;
  }

  /** A field that may only say what is built here anyway. */
  only(name: string, values: readonly MetadataValue[], what: string): void {
    const value = this.get(name);
    if (value !== undefined && !values.includes(value)) throw this.fail(name, `${values.join(" or ")}: ${what}`, value);
  }

  /** Throws CheckpointError naming the first field that nobody asked for. */
  refuseLeft(): void {
    for (const key of this.#left)
      throw new CheckpointError(
        `${this.header.path}: ${quoted(key)}: expected nothing of that name, since it is not understood here; computing without it might be another model`,
      );
  }
}

/** The decimal number of fewest digits that is the same f32: metadata has f32, config.json what people wrote. */
export function shortest(x: number): number {
  for (let digits = 1; digits < 17; digits++) {
    const short = Number(x.toPrecision(digits));
    if (Math.fround(short) === Math.fround(x)) return short;
  }
  return x;
}
