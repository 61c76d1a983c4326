/** A model folder opened for serving: tokenizer, weights, engine, what the page is told of them. */
import { readdirSync, statSync } from "node:fs";
import { basename, join, resolve } from "node:path";
import {
  type BlockStoreOptions,
  isGguf,
  readGguf,
  readJsonFile,
  readRegularFile,
  resolveModel,
  settleFolder,
} from "../checkpoint/index.ts";
import { readTokenizerFiles, tokenizerOf } from "../data/index.ts";
import { ConfigError } from "../errors.ts";
import {
  BLOCK_TOKENS,
  type LanguageModel,
  ModelEngine,
  type ModelEngineOptions,
  openDecoder,
  StoredPrompts,
  type WeightsOptions,
} from "../infer/index.ts";
import { isRecord, parseJson } from "../json.ts";
import {
  eosTokenIds,
  flopsPerToken,
  type ModelConfig,
  mtpDepth,
  parseConfig,
  summarizeParameters,
} from "../model/index.ts";
import { readTraining } from "../runs/index.ts";
import type { Encoder } from "./encoder.ts";
import { startEncoder } from "./encoderProcess.ts";
import type { ModelInfo, ServedModel } from "./served.ts";
import { GrammarService } from "./structure/service.ts";
import { vocabularyOf } from "./structure/vocabulary.ts";
import { THINK_CLOSE, THINK_OPEN } from "./text.ts";
import { hasSwitch } from "./thinking.ts";
import { speechOf } from "./tools/formats.ts";

/** Opens the weights of a folder as something that computes. */
export type OpenLanguageModel = (dir: string, config: ModelConfig, options?: WeightsOptions) => Promise<LanguageModel>;

export interface LoadOptions extends Omit<ModelEngineOptions, "stored" | "drafts">, Omit<WeightsOptions, "identify"> {
  /** A folder in which prompts are kept beyond memory, so that another start knows them. */
  prefixCache?: BlockStoreOptions;
}

/** A model with the process that encodes for it; `engine.close()` ends both. */
export type LoadedModel = ServedModel & { encoder: Encoder };

/** Loads a Hugging Face folder or a GGUF file for serving. Throws ConfigError or CheckpointError naming what is wrong in it. */
export async function loadServed(
  dir: string,
  open: OpenLanguageModel,
  options: LoadOptions = {},
): Promise<LoadedModel> {
  const config = await configOf(dir);
  const files = readTokenizerFiles(dir);
  // only decodes: its process encodes
  const tokenizer = tokenizerOf(files, { lazy: true });
  if (tokenizer.vocabSize > config.vocab_size)
    throw new ConfigError(
      `${dir}: the tokenizer has ${tokenizer.vocabSize} tokens, the model only ${config.vocab_size}`,
    );
  for (const id of eosTokenIds(config)) if (!tokenizer.eosIds.includes(id)) tokenizer.eosIds.push(id);
  const generation = parseJson(files.texts["generation_config.json"] ?? "{}");
  const defaults = samplingDefaults(isRecord(generation) ? generation : {});
  const [opened, started] = await Promise.allSettled([
    openWithStore(dir, config, open, options),
    startEncoder(files, { keepIds: config.max_position_embeddings }),
  ]);
  if (opened.status === "rejected" || started.status === "rejected") {
    if (opened.status === "fulfilled")
      await Promise.all([opened.value.model.dispose?.(), opened.value.stored?.close()]);
    if (started.status === "fulfilled") await started.value.close();
    throw opened.status === "rejected" ? opened.reason : (started as PromiseRejectedResult).reason;
  }
  const [{ model, stored }, encoder] = [opened.value, started.value];
  const { marks } = speechOf(tokenizer.chatTemplate).format;
  const grammars = new GrammarService(() => vocabularyOf(tokenizer, config.vocab_size, marks), config.vocab_size);
  const onClose = async (): Promise<void> => void (await Promise.all([encoder.close(), grammars.close()]));
  return {
    engine: new ModelEngine(model, { ...options, stored, onClose }),
    tokenizer,
    encoder,
    grammars,
    info: describe(dir, config, model, tokenizer.chatTemplate),
    defaults,
  };
}

async function openWithStore(dir: string, config: ModelConfig, open: OpenLanguageModel, options: LoadOptions) {
  const { prefixCache } = options;
  const model = await open(dir, config, { ...options, identify: prefixCache !== undefined });
  try {
    return { model, stored: prefixCache && (await StoredPrompts.open(model, prefixCache)) };
  } catch (error) {
    await model.dispose?.();
    throw error;
  }
}

async function configOf(path: string): Promise<ModelConfig> {
  if (isGguf(path)) return parseConfig(readGguf(path).json, path);
  await settleFolder(path);
  const file = join(path, "config.json");
  return parseConfig(await readJsonFile(file), file);
}

function describe(dir: string, given: ModelConfig, model: LanguageModel, chatTemplate: string | undefined): ModelInfo {
  const config = model.config ?? given;
  const sequence = Math.min(config.max_position_embeddings, model.contextTokens);
  return {
    id: basename(resolve(dir)).replace(/\.gguf$/i, ""),
    createdSeconds: Math.floor(statSync(isGguf(dir) ? dir : join(dir, "config.json")).mtimeMs / 1000),
    architecture: config.model_type,
    parameters: summarizeParameters(config),
    layers: config.num_hidden_layers,
    mtpModules: mtpDepth(config),
    contextTokens: model.contextTokens,
    vocabSize: config.vocab_size,
    flopsPerToken: Math.round(flopsPerToken(config, { sequence }).forward),
    cacheBytesPerToken: model.blockBytes / BLOCK_TOKENS,
    reasons: chatTemplate?.includes(THINK_OPEN) === true || chatTemplate?.includes(THINK_CLOSE) === true,
    thinkingSwitch: hasSwitch(chatTemplate),
    ...(model.weightsAbout ? { weights: model.weightsAbout } : {}),
    ...(model.notes?.length ? { notes: model.notes } : {}),
    weightsBytes: weightsBytes(dir),
    training: isGguf(dir) ? undefined : readTraining(dir),
    ...examplesOf(dir),
  };
}

/** Bytes of a GGUF file, or of a folder's safetensors. */
function weightsBytes(path: string): number {
  const files = isGguf(path)
    ? [path]
    : readdirSync(path)
        .filter((name) => name.endsWith(".safetensors"))
        .map((name) => join(path, name));
  return files.reduce((sum, file) => sum + (statSync(file, { throwIfNoEntry: false })?.size ?? 0), 0);
}

const EXAMPLES_BYTES_MAX = 64 << 10;

/** `examples.json`: a list of questions that show what the model can do. */
function examplesOf(dir: string): { examples?: string[] } {
  try {
    const list = parseJson(readRegularFile(join(dir, "examples.json"), EXAMPLES_BYTES_MAX).toString("utf8"));
    return Array.isArray(list) && list.every((e) => typeof e === "string") ? { examples: list } : {};
  } catch {
    return {};
  }
}

/** The model's own sampling from generation_config.json; `do_sample: false` is temperature 0. */
export function samplingDefaults(generation: Record<string, unknown>): NonNullable<ServedModel["defaults"]> {
  const within = (name: string, min: number, max: number): number | undefined => {
    const value = generation[name];
    return typeof value === "number" && value >= min && value <= max ? value : undefined;
  };
  const temperature = generation.do_sample === false ? 0 : within("temperature", 0, 2);
  const topP = within("top_p", 0, 1);
  const topK = within("top_k", 0, 2 ** 31);
  const minP = within("min_p", 0, 1);
  const repetitionPenalty = within("repetition_penalty", 0.01, 100);
  return {
    ...(temperature === undefined ? {} : { temperature }),
    ...(topP === undefined ? {} : { topP }),
    ...(topK === undefined ? {} : { topK }),
    ...(minP === undefined ? {} : { minP }),
    ...(repetitionPenalty === undefined ? {} : { repetitionPenalty }),
  };
}

/** Loads a Hugging Face folder, or a bundled model by name (`nano`), with its weights, ready to answer. Throws as `loadServed`. */
export const loadModel = async (model: string, options?: LoadOptions): Promise<LoadedModel> =>
  loadServed(resolveModel(model), openDecoder, options);
