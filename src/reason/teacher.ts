/** A teacher whose weights are here: what it makes of a student's own tokens, and the head that predicts from it. */
import { loadWeights, weightsDigest } from "../checkpoint/index.ts";
import { loadTokenizer } from "../data/index.ts";
import { ConfigError } from "../errors.ts";
import { headKey, type ModelConfig, parseConfig, type Weight } from "../model/index.ts";
import type { OnProgress } from "../progress.ts";
import { checkpointConfig } from "../runs/index.ts";
import { f32, type HostTensor } from "../tensor/index.ts";
import type { Tokenizer } from "../tokenizer/index.ts";
import type { Parameters } from "../train/index.ts";
import { adaptedConfig } from "./lora.ts";
import { checkReading } from "./memory.ts";

export interface Teacher {
  /** Without MTP modules. */
  config: ModelConfig;
  parameters: Parameters;
  /** Of config and weights, by every byte. */
  digest: string;
  /** The head's rows of the first `count` ids. */
  head(count: number): HostTensor<Float32Array>;
}

/** What to do where a teacher will not do for on-policy distillation. */
const OTHERWISE =
  "Leave --on-policy out: verified samples are texts, which any student can learn from whatever its tokenizer";

/** A folder's or GGUF file's, in f32. Throws CheckpointError; ConfigError where its tokens are not the student's. */
export async function openTeacher(
  dir: string,
  student: { config: ModelConfig; tokenizer: Tokenizer },
  onProgress?: OnProgress,
): Promise<Teacher> {
  const config = adaptedConfig(parseConfig(await checkpointConfig(dir), dir));
  checkSameTokens(dir, loadTokenizer(dir), student.tokenizer);
  const rows = student.config.vocab_size;
  if (config.vocab_size < rows)
    throw new ConfigError(
      `--teacher ${dir}: expected a head of at least the student's ${rows} rows, got ${config.vocab_size}: it says nothing of ids that the student may draw. ${OTHERWISE}`,
    );
  checkReading(dir, config);
  const { weights } = await loadWeights(dir, config, { onProgress });
  const key = headKey(config);
  return {
    config,
    parameters: { get: (name) => weights.get(name), lora: undefined },
    digest: await weightsDigest(config, weights as Map<string, Weight>, onProgress),
    head(count) {
      const { data, shape } = weights.get(key) as HostTensor<Float32Array>;
      const width = shape[1] ?? 0;
      return f32([count, width], data.subarray(0, count * width));
    },
  };
}

/** Throws ConfigError where an id means different tokens to them. */
function checkSameTokens(dir: string, teacher: Tokenizer, student: Tokenizer): void {
  const count = Math.max(teacher.vocabSize, student.vocabSize);
  const tokenOf = (tokenizer: Tokenizer, id: number): string => (id < tokenizer.vocabSize ? tokenizer.tokenOf(id) : "");
  for (let id = 0; id < count; id++) {
    const [here, there] = [tokenOf(student, id), tokenOf(teacher, id)];
    if (here !== there)
      throw new ConfigError(
        `--teacher ${dir}: expected the student's tokens, got others: id ${id} is ${JSON.stringify(there)}, the student's ${JSON.stringify(here)}. ${OTHERWISE}`,
      );
  }
}
