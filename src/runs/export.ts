/** The trained model as a Hugging Face folder, written beside its run, then put where it shall be. */
import { isAbsolute, join, relative } from "node:path";
import { baseMark, isDiskFault, saveCheckpoint, tokenizerFiles, writeAdapter } from "../checkpoint/index.ts";
import { SumbiError } from "../errors.ts";
import { listParameters, type ModelConfig, parameterShapes } from "../model/index.ts";
import { type HostTensor, sizeOf } from "../tensor/index.ts";
import type { ParameterStore, Phase, Recipe } from "../train/index.ts";
import { copyModel, firstFree, type Out, putInto } from "./out.ts";
import { trainingFile } from "./training.ts";

/** What a model is written from. */
export interface Trained {
  /** The run's folder and id. */
  dir: string;
  id: string;
  /** The recipe's name, and itself as it is given away with the model. */
  name: string;
  recipe: Readonly<Record<string, unknown>>;
  config: ModelConfig;
  configJson: Readonly<Record<string, unknown>>;
  store: ParameterStore;
  /** The folder of the model that it began with; a store of adapters stands beside it. */
  from?: string;
  tokenizerDir: string;
}

/** What a pretraining run's model is written from after so many steps. */
export function trainedBy(
  run: {
    dir: string;
    id: string;
    recipe: Recipe;
    phases: readonly Phase[];
    store: ParameterStore;
    tokenizerDir: string;
  },
  step: number,
): Trained {
  const { recipe, phases, ...rest } = run;
  const { config, configJson } = phases.findLast((phase) => step > phase.fromStep) ?? phases[0]!;
  const from = typeof recipe.model === "string" ? recipe.model : undefined;
  return { ...rest, name: recipe.name, recipe: portable(recipe), config, configJson, from };
}

/** Bytes of an exported model's weights. */
export const exportBytes = (config: ModelConfig): number =>
  [...parameterShapes(config).values()].reduce((sum, shape) => sum + 2 * sizeOf(shape), 0);

/** Writes the model beside its run, as the folder `model` there. The folder. Throws CheckpointError. */
export async function exportModel(run: Trained, step: number): Promise<string> {
  const dir = await firstFree(join(run.dir, "model"), true);
  await writeModel(run, step, dir, true);
  return dir;
}

/**
 * Writes the model beside its run and puts a copy where it shall be; when there is no room beside the run, writes it there directly.
 * `model` says where it is whole, `fault` what kept it from its place.
 */
export async function placeModel(run: Trained, step: number, out: Out): Promise<{ model?: string; fault?: string }> {
  let model: string | undefined;
  try {
    try {
      model = await exportModel(run, step);
    } catch (error) {
      if (!isDiskFault(error)) throw error;
    }
    return {
      model: await putInto(out, (dir) =>
        model === undefined ? writeModel(run, step, dir, out.overwrite) : copyModel(model, dir, out.overwrite),
      ),
    };
  } catch (error) {
    if (!(error instanceof SumbiError)) throw error;
    return { model, fault: `the model could not be put into ${out.dir}: ${error.message}` };
  }
}

/** Writes a Hugging Face folder: bf16 weights, config.json, tokenizer, the resolved recipe. Of a store of adapters, these alone, as PEFT has them. */
async function writeModel(run: Trained, step: number, dir: string, overwrite: boolean): Promise<void> {
  const { config, configJson, store } = run;
  const files = { "recipe.json": `${JSON.stringify(run.recipe, null, 2)}\n`, ...(await trainingFile(run, step)) };
  const origin = { run: run.id, recipe: run.name, step };
  if (store.adapts) {
    const { lora, base } = store.adapts;
    const mark = await baseMark(config, (key) => (base.get(key) as HostTensor<Float32Array>).data);
    const tensor = (key: string) => store.parameter(key);
    const name = shortPath(run.from ?? "");
    return writeAdapter(dir, { config, lora, tensor, base: { name, mark }, files, overwrite, origin });
  }
  const shapes = parameterShapes(config);
  const originals = new Map(Array.from(listParameters(config), (p) => [p.key, p.sameAs ?? p.key]));
  await saveCheckpoint(dir, {
    config: {
      architectures: [ARCHITECTURES[config.model_type]],
      ...configJson,
      num_mtp_layers: undefined,
      dtype: "bfloat16",
    },
    tensors: [...shapes].map(([key, shape]) => ({ key, shape, data: store.parameter(originals.get(key)!).data })),
    dtype: "bf16",
    files: { ...(await tokenizerFiles(run.tokenizerDir)), ...files },
    overwrite,
    origin,
  });
}

/** The recipe with paths below the working directory relative to it: a model that is given away does not tell where its maker's files are. */
function portable({ data, tokenizer, model, ...recipe }: Recipe): Record<string, unknown> {
  return {
    ...recipe,
    model: typeof model === "string" ? shortPath(model) : model,
    tokenizer: "from" in tokenizer ? { from: shortPath(tokenizer.from) } : tokenizer,
    data: { ...data, paths: data.paths.map(shortPath) },
  };
}

function shortPath(path: string): string {
  const way = isAbsolute(path) ? relative(process.cwd(), path) : "..";
  return way === "" ? "." : way.startsWith("..") || isAbsolute(way) ? path : way.replaceAll("\\", "/");
}

const ARCHITECTURES: Record<string, string> = {
  deepseek_v3: "DeepseekV3ForCausalLM",
  deepseek_v32: "DeepseekV32ForCausalLM",
  deepseek_v2: "DeepseekV2ForCausalLM",
  deepseek: "DeepseekForCausalLM",
  llama: "LlamaForCausalLM",
  qwen2: "Qwen2ForCausalLM",
  qwen3: "Qwen3ForCausalLM",
  qwen3_moe: "Qwen3MoeForCausalLM",
};
