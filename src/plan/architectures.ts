/** Shapes of models behind published runs that have no config.json here. */
import { type Architecture, gptArchitecture } from "./architecture.ts";

/** Shapes of models behind published runs that have no config.json here. Sources: the papers named; of Qwen3-MoE and Mixtral, their config.json. */

const rotary = { name: "", hidden: 0, vocab: 0, tied: false, mtpDepth: 0, norm: "rms" as const, dropout: false };

interface LlamaShape {
  hidden: number;
  layers: number;
  heads: number;
  kvHeads?: number;
  width: number;
  vocab?: number;
}

/** A Llama-like model: rotary, RMSNorm, SwiGLU, no biases, untied. Heads are hidden ÷ heads wide. */
function llamaArchitecture(
  name: string,
  { hidden, layers, heads, kvHeads = heads, width, vocab = 32000 }: LlamaShape,
): Architecture {
  return {
    ...rotary,
    name,
    hidden,
    vocab,
    layers: [
      {
        count: layers,
        attention: {
          kind: "gqa",
          heads,
          kvHeads,
          headDim: hidden / heads,
          qkvBias: false,
          outBias: false,
          qkNorm: false,
        },
        ffn: { kind: "dense", width, gated: true, bias: false },
      },
    ],
  };
}

interface MoeShape extends LlamaShape {
  experts: number;
  perToken: number;
}

/** The same with `experts` of `width` in every layer. */
function moeArchitecture(name: string, shape: MoeShape): Architecture {
  const { experts, perToken, width } = shape;
  const base = llamaArchitecture(name, shape);
  const run = base.layers[0]!;
  return { ...base, layers: [{ ...run, ffn: { kind: "moe", experts, perToken, width, shared: 0 } }] };
}

const megatron = (name: string, hidden: number, heads: number, layers: number, vocab = 51200) =>
  gptArchitecture({ name, hidden, heads, layers, vocab, positions: 2048 });
/** Pythia: parallel layers, rotary, untied, no dropout (arXiv:2304.01373 table 6; 50,304 rows with padding). */
const pythia = (name: string, hidden: number, heads: number, layers: number) =>
  gptArchitecture({ name, hidden, heads, layers, vocab: 50304, tied: false, dropout: false });

export const ARCHITECTURES: Record<string, Architecture> = Object.fromEntries(
  [
    // arXiv:2205.05198 table 3
    megatron("megatron-22b", 6144, 64, 48),
    megatron("gpt3-175b", 12288, 96, 96),
    megatron("mt-nlg-530b", 20480, 128, 105),
    megatron("megatron-1t", 25600, 160, 128),
    // arXiv:2302.13971 table 2
    llamaArchitecture("llama-1-7b", { hidden: 4096, layers: 32, heads: 32, width: 11008 }),
    llamaArchitecture("llama-1-13b", { hidden: 5120, layers: 40, heads: 40, width: 13824 }),
    llamaArchitecture("llama-1-33b", { hidden: 6656, layers: 60, heads: 52, width: 17920 }),
    llamaArchitecture("llama-1-65b", { hidden: 8192, layers: 80, heads: 64, width: 22016 }),
    // arXiv:2307.09288
    llamaArchitecture("llama-2-7b", { hidden: 4096, layers: 32, heads: 32, width: 11008 }),
    llamaArchitecture("llama-2-13b", { hidden: 5120, layers: 40, heads: 40, width: 13824 }),
    llamaArchitecture("llama-2-34b", { hidden: 8192, layers: 48, heads: 64, kvHeads: 8, width: 22016 }),
    llamaArchitecture("llama-2-70b", { hidden: 8192, layers: 80, heads: 64, kvHeads: 8, width: 28672 }),
    // arXiv:2210.02414: gated, of 2/3 the width that four times hidden would give
    gptArchitecture({
      name: "glm-130b",
      hidden: 12288,
      heads: 96,
      layers: 70,
      vocab: 150528,
      width: 32768,
      gated: true,
      dropout: true,
    }),
    pythia("pythia-70m", 512, 8, 6),
    pythia("pythia-160m", 768, 12, 12),
    pythia("pythia-410m", 1024, 16, 24),
    pythia("pythia-1b", 2048, 8, 16),
    pythia("pythia-1.4b", 2048, 16, 24),
    pythia("pythia-2.8b", 2560, 32, 32),
    pythia("pythia-6.9b", 4096, 32, 32),
    pythia("pythia-12b", 5120, 40, 36),
    moeArchitecture("mixtral-8x7b", {
      hidden: 4096,
      layers: 32,
      heads: 32,
      kvHeads: 8,
      width: 14336,
      experts: 8,
      perToken: 2,
    }),
    moeArchitecture("mixtral-8x22b", {
      hidden: 6144,
      layers: 56,
      heads: 48,
      kvHeads: 8,
      width: 16384,
      experts: 8,
      perToken: 2,
    }),
  ].map((architecture) => [architecture.name, architecture]),
);
