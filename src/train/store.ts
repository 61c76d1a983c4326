/** The parameters, gradients and moments of a training run, each in one flat array. */
import { ConfigError } from "../errors.ts";
import { type Lora, listParameters, loraShapes, type ModelConfig, type Weight, type Weights } from "../model/index.ts";
import { fnv1a, splitmix32 } from "../random.ts";
import { f32, type HostTensor, sizeOf } from "../tensor/index.ts";
import type { Phase } from "./recipe.ts";

/** A parameter group: parameters that lie side by side and that the optimizer treats alike. */
export interface ParameterGroup {
  offset: number;
  size: number;
  /** Weight decay applies (matrices yes; norms, biases no). */
  decays: boolean;
  /** [count, rows, columns] when the group is hidden matrices of one shape, which Muon may take. */
  matrices?: [number, number, number];
}

/**
 * All trained parameters of a model in flat f32 arrays of one layout: values, gradients (of each lane) and two moments. Graphs bind
 * views into them, the optimizer walks them as one vector, and saving them saves the training state. An engine may be fed with it as it is.
 */
export class ParameterStore implements Weights {
  readonly views = new Map<string, { shape: number[]; offset: number; size: number }>();
  readonly groups: ParameterGroup[] = [];
  readonly parameters: Float32Array;
  /** One lane's gradients each. */
  readonly lanes: Float32Array[];
  readonly moment1: Float32Array;
  readonly moment2: Float32Array;
  #version = 0;

  /**
   * `frozen` names parameters that are kept but not trained (the balance bias, which has its own rule); `lanes` compute gradients at the same time.
   * `adapts`: the parameters are adapters, and these the weights that they stand beside.
   */
  constructor(
    shapes: ReadonlyMap<string, readonly number[]>,
    readonly frozen: (key: string) => boolean,
    lanes = 1,
    readonly adapts?: { lora: Lora; base: Weights },
  ) {
    const kindOf = (key: string, shape: readonly number[]): string => {
      if (frozen(key)) return "z";
      if (shape.length !== 2) return "y vectors";
      // Embedding and head are matrices, but not ones between hidden states: AdamW with decay.
      if (/embed_tokens|lm_head|shared_head\.head|mlp\.gate\./.test(key)) return "x tables";
      return `m ${shape.join("x")}`;
    };
    const sorted = [...shapes].map(([key, shape]) => ({ key, shape: [...shape], kind: kindOf(key, shape) }));
    const order = new Map([...shapes.keys()].map((key, i) => [key, i]));
    sorted.sort((a, b) => (a.kind < b.kind ? -1 : a.kind > b.kind ? 1 : order.get(a.key)! - order.get(b.key)!));
    let offset = 0;
    let current = "";
    for (const { key, shape, kind } of sorted) {
      const size = sizeOf(shape);
      this.views.set(key, { shape, offset, size });
      if (kind !== current && kind !== "z")
        this.groups.push({
          offset,
          size: 0,
          decays: shape.length === 2,
          ...(kind[0] === "m" ? { matrices: [0, shape[0]!, shape[1]!] as [number, number, number] } : {}),
        });
      current = kind;
      if (kind !== "z") {
        const group = this.groups.at(-1)!;
        group.size += size;
        if (group.matrices) group.matrices[0]++;
      }
      offset += size;
    }
    this.parameters = new Float32Array(offset);
    this.lanes = Array.from({ length: lanes }, () => new Float32Array(offset));
    this.moment1 = new Float32Array(offset);
    this.moment2 = new Float32Array(offset);
  }

  #view(data: Float32Array, key: string): HostTensor<Float32Array> {
    const view = this.views.get(key);
    if (view === undefined) throw new ConfigError(`store: no parameter ${key}`);
    return f32(view.shape, data.subarray(view.offset, view.offset + view.size));
  }

  parameter(key: string): HostTensor<Float32Array> {
    return this.#view(this.parameters, key);
  }

  /** The same, or a weight beside which adapters stand; undefined for a key that it does not have. */
  get(key: string): Weight | undefined {
    return this.views.has(key) ? this.parameter(key) : this.adapts?.base.get(key);
  }

  get lora(): Lora | undefined {
    return this.adapts?.lora;
  }

  get gradients(): Float32Array {
    return this.lanes[0]!;
  }

  gradient(key: string, lane = 0): HostTensor<Float32Array> {
    return this.#view(this.lanes[lane]!, key);
  }

  keys(): string[] {
    return [...this.views.keys()];
  }

  /** Whether an optimizer moves that parameter. */
  trains(key: string): boolean {
    return this.views.has(key) && !this.frozen(key);
  }

  /** Keys of the parameters that an optimizer moves. */
  trainedKeys(): string[] {
    return this.keys().filter((key) => this.trains(key));
  }

  /** Moves with the parameters' values: whoever keeps a copy compares it. */
  get version(): number {
    return this.#version;
  }

  /** To be called by whoever wrote parameters. */
  changed(): void {
    this.#version++;
  }

  /** Normal(0, std) for matrices, 1 for norms, 0 for biases; each parameter from its own stream of the seed. */
  initialize(seed: number, std: number): void {
    for (const key of this.views.keys()) {
      const { data, shape } = this.parameter(key);
      if (shape.length !== 2) data.fill(/bias$/.test(key) ? 0 : 1);
      else fillNormal(data, std, fnv1a(`${seed}/${key}`));
    }
    this.changed();
  }
}

/** Weights by key, in a store or a copy of one. */
export type Parameters = Pick<ParameterStore, "get" | "lora">;

/** A store's parameters as they were when it was made, or when `take` was called last; what adapters stand beside is the store's. */
export class ParameterCopy implements Parameters {
  readonly values: Float32Array;

  constructor(readonly store: ParameterStore) {
    this.values = store.parameters.slice();
  }

  get lora(): Lora | undefined {
    return this.store.lora;
  }

  take(): void {
    this.values.set(this.store.parameters);
  }

  get(key: string): Weight | undefined {
    const view = this.store.views.get(key);
    if (view === undefined) return this.store.get(key);
    return f32(view.shape, this.values.subarray(view.offset, view.offset + view.size));
  }
}

/** A store for the model of a run's phases, not yet initialized; what `frozen` names is kept and not trained, besides the balance biases and indexers. */
export function storeOf(
  phases: readonly Pick<Phase, "config" | "lanes">[],
  frozen: (key: string) => boolean = () => false,
): ParameterStore {
  const parameters = Array.from(listParameters(phases[0]!.config)).filter((p) => !p.sameAs);
  const buffers = new Set(parameters.filter((p) => p.buffer).map((p) => p.key));
  const lanes = Math.max(...phases.map((phase) => phase.lanes));
  return new ParameterStore(
    new Map(parameters.map((p) => [p.key, p.shape])),
    (key) => buffers.has(key) || frozen(key),
    lanes,
  );
}

/**
 * A store of adapters alone, beside a model's weights in f32, which stay as they are: A uniform within ±1/√in as PEFT draws it, each from its own
 * stream of the seed, B zero, so that the model is still the same.
 */
export function loraStore(config: ModelConfig, lora: Lora, base: Weights, lanes: number, seed: number): ParameterStore {
  const store = new ParameterStore(loraShapes(config, lora), () => false, lanes, { lora, base });
  for (const key of store.keys()) {
    const { data, shape } = store.parameter(key);
    if (key.endsWith(".lora_A.weight")) fillUniform(data, 1 / Math.sqrt(shape[1]!), fnv1a(`${seed}/${key}`));
  }
  store.changed();
  return store;
}

/** Between ±bound, the same values on every machine. */
function fillUniform(data: Float32Array, bound: number, seed: number): void {
  const next = splitmix32(seed);
  for (let i = 0; i < data.length; i++) data[i] = bound * ((2 * next()) / 2 ** 32 - 1);
}

/** Box–Muller over splitmix32: the same values on every machine. */
function fillNormal(data: Float32Array, std: number, seed: number): void {
  const next = splitmix32(seed);
  const uniform = () => next() / 2 ** 32;
  for (let i = 0; i < data.length; i += 2) {
    const radius = std * Math.sqrt(-2 * Math.log(1 - uniform()));
    const angle = 2 * Math.PI * uniform();
    data[i] = radius * Math.cos(angle);
    if (i + 1 < data.length) data[i + 1] = radius * Math.sin(angle);
  }
}
