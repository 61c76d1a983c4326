import {
  type ParameterStore,
  type Progress,
  parseRecipe,
  phasesOf,
  type Recipe,
  type StateStorage,
  type StepReport,
  storeOf,
  type TokenSource,
  Trainer,
  type TrainerEvents,
} from "../../src/train/index.ts";

export const MODEL = {
  model_type: "deepseek_v3",
  vocab_size: 64,
  hidden_size: 32,
  intermediate_size: 64,
  moe_intermediate_size: 16,
  num_hidden_layers: 2,
  first_k_dense_replace: 1,
  num_attention_heads: 2,
  num_key_value_heads: 2,
  n_shared_experts: 1,
  n_routed_experts: 8,
  num_experts_per_tok: 2,
  n_group: 1,
  topk_group: 1,
  norm_topk_prob: true,
  routed_scaling_factor: 2.5,
  scoring_func: "sigmoid",
  topk_method: "noaux_tc",
  q_lora_rank: null,
  kv_lora_rank: 16,
  qk_nope_head_dim: 8,
  qk_rope_head_dim: 4,
  v_head_dim: 8,
  num_nextn_predict_layers: 1,
  max_position_embeddings: 128,
  rope_theta: 10000,
  rms_norm_eps: 1e-6,
  hidden_act: "silu",
  initializer_range: 0.05,
  tie_word_embeddings: false,
};

/** A recipe that learns repeating patterns in seconds. */
export const recipeOf = (over: Record<string, unknown> = {}): Recipe =>
  parseRecipe({
    name: "test",
    model: MODEL,
    tokens: 8 * 16 * 60,
    sequence: 16,
    batch: { end: 8 },
    data: {},
    learningRate: { warmupSteps: 5, stages: [{ from: 5e-3 }] },
    evaluate: { everySteps: 20, tokens: 128 },
    save: { everySteps: 10 },
    ...over,
  });

/** Sequences that count up by a stride from a start: learnable, and a pure function of the number. */
export const source: TokenSource = {
  train: (first, count, sequence, extra) => rows(first, count, sequence + extra),
  heldout: (sequence) => Array.from({ length: 8 }, (_, i) => rows(1_000_003 + i, 1, sequence + 1)),
};
function rows(first: number, count: number, width: number): Int32Array {
  const ids = new Int32Array(count * width);
  for (let row = 0; row < count; row++) {
    const n = Math.imul(first + row + 1, 2654435761) >>> 0;
    const stride = 1 + (n % 3);
    for (let i = 0; i < width; i++) ids[row * width + i] = ((n >>> 8) + i * stride) % 64;
  }
  return ids;
}

/** Keeps states in memory, copied, as a disk would. */
export class MemoryStorage implements StateStorage {
  saved: { progress: Progress; arrays: Float32Array[] } | undefined;
  saves = 0;
  constructor(public store: ParameterStore) {}
  async save(progress: Progress): Promise<void> {
    this.saves++;
    this.saved = {
      progress: structuredClone(progress),
      arrays: [this.store.parameters, this.store.moment1, this.store.moment2].map((a) => a.slice()),
    };
  }
  async load(): Promise<Progress | undefined> {
    if (!this.saved) return undefined;
    const { progress, arrays } = this.saved;
    [this.store.parameters, this.store.moment1, this.store.moment2].forEach((a, i) => a.set(arrays[i]!));
    return structuredClone(progress);
  }
}

export function newStore(recipe: Recipe): ParameterStore {
  const store = storeOf(phasesOf(recipe, recipe.model as Record<string, unknown>));
  store.initialize(recipe.seed, 0.05);
  return store;
}

export interface Run {
  trainer: Trainer;
  store: ParameterStore;
  storage: MemoryStorage;
  steps: StepReport[];
  messages: string[];
  heldout: number[];
}

export async function newRun(
  recipe: Recipe,
  options: {
    source?: TokenSource;
    storage?: MemoryStorage /** States elsewhere than in memory. */;
    keep?: (store: ParameterStore) => StateStorage;
    onStep?: (report: StepReport, trainer: Trainer) => void;
  } = {},
): Promise<Run> {
  const store = newStore(recipe);
  const storage = options.storage ?? new MemoryStorage(store);
  storage.store = store;
  const run = { store, storage, steps: [] as StepReport[], messages: [] as string[], heldout: [] as number[] } as Run;
  const events: TrainerEvents = {
    step(report) {
      run.steps.push(report);
      options.onStep?.(report, run.trainer);
    },
    evaluated: (_, loss) => void run.heldout.push(loss),
    event: (_, __, message) => void run.messages.push(message),
  };
  run.trainer = await Trainer.create(
    recipe,
    phasesOf(recipe, recipe.model as Record<string, unknown>),
    store,
    options.source ?? source,
    options.keep?.(store) ?? storage,
    events,
  );
  return run;
}
