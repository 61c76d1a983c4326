/** The trained model as a Hugging Face folder. */
import { saveCheckpoint, tokenizerFiles } from "../checkpoint/index.ts";
import { listParameters, parameterShapes } from "../model/index.ts";
import type { PreparedRun } from "./prepare.ts";

/** Writes the model as a Hugging Face folder: bf16 weights, config.json, tokenizer, the resolved recipe. */
export async function exportModel(run: PreparedRun, step: number): Promise<void> {
  const phase = run.phases.findLast((p) => step > p.fromStep) ?? run.phases[0]!;
  const shapes = parameterShapes(phase.config);
  const originals = new Map(Array.from(listParameters(phase.config), (p) => [p.key, p.sameAs ?? p.key]));
  await saveCheckpoint(run.out, {
    config: {
      architectures: [ARCHITECTURES[phase.config.model_type]],
      ...phase.configJson,
      num_mtp_layers: undefined,
      dtype: "bfloat16",
    },
    tensors: [...shapes].map(([key, shape]) => ({ key, shape, data: run.store.parameter(originals.get(key)!).data })),
    dtype: "bf16",
    files: { ...(await tokenizerFiles(run.tokenizerDir)), "recipe.json": `${JSON.stringify(run.recipe, null, 2)}\n` },
    overwrite: true,
  });
}

const ARCHITECTURES: Record<string, string> = {
  deepseek_v3: "DeepseekV3ForCausalLM",
  deepseek_v2: "DeepseekV2ForCausalLM",
  llama: "LlamaForCausalLM",
  qwen2: "Qwen2ForCausalLM",
  qwen3: "Qwen3ForCausalLM",
};
