/** Scripted models with a real tokenizer, a chat template that knows tools, and grammars: what calls of tools are tested on. */
import { readFileSync } from "node:fs";
import { createApp } from "../../src/serve/app.ts";
import type { ServedModel } from "../../src/serve/served.ts";
import { GrammarService } from "../../src/serve/structure/service.ts";
import { vocabularyOf } from "../../src/serve/structure/vocabulary.ts";
import { speechOf } from "../../src/serve/tools/formats.ts";
import { Tokenizer } from "../../src/tokenizer/index.ts";
import { type FakeModel, fakeModel, hashLogits, served } from "./fake-model.ts";

/**
 * Chat templates in the shapes of those that published models have, as far as tools go. Written for these tests; `tokens` are the marks that each of them needs.
 */
export const TOOL_TEMPLATES: Record<string, { source: string; tokens: readonly string[] }> = {
  /** DeepSeek-V3 and R1: calls in fences, results between marks; tools are described by whoever asks. */
  v3: {
    tokens: [
      "<｜tool▁calls▁begin｜>",
      "<｜tool▁calls▁end｜>",
      "<｜tool▁call▁begin｜>",
      "<｜tool▁call▁end｜>",
      "<｜tool▁sep｜>",
      "<｜tool▁outputs▁begin｜>",
      "<｜tool▁outputs▁end｜>",
      "<｜tool▁output▁begin｜>",
      "<｜tool▁output▁end｜>",
    ],
    source: `{% set ns = namespace(system='', tool=false, first=true) %}{%- for m in messages if m.role == 'system' %}{% set ns.system = ns.system + m.content %}{%- endfor %}{{ bos_token + ns.system }}{%- for m in messages %}{%- if m.role == 'user' %}{% set ns.tool = false %}{{ '<｜User｜>' + m.content + '<｜Assistant｜>' }}{%- elif m.role == 'assistant' and m.tool_calls %}{% set ns.tool = false %}{% set ns.first = true %}{% for c in m.tool_calls %}{{ (m.content or '') + '<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>' + c.type + '<｜tool▁sep｜>' + c.function.name + '\\n\`\`\`json\\n' + c.function.arguments + '\\n\`\`\`<｜tool▁call▁end｜>' }}{% endfor %}{{ '<｜tool▁calls▁end｜><｜end▁of▁sentence｜>' }}{%- elif m.role == 'assistant' %}{{ ('<｜tool▁outputs▁end｜>' if ns.tool else '') + m.content.split('</think>')[-1] + '<｜end▁of▁sentence｜>' }}{% set ns.tool = false %}{%- elif m.role == 'tool' %}{{ ('<｜tool▁outputs▁begin｜>' if ns.first else '\\n') + '<｜tool▁output▁begin｜>' + m.content + '<｜tool▁output▁end｜>' }}{% set ns.tool = true %}{% set ns.first = false %}{%- endif %}{%- endfor %}{% if ns.tool %}{{ '<｜tool▁outputs▁end｜>' }}{% endif %}`,
  },
  /** DeepSeek-V3.1: the same marks without fences, and an answer that says whether it was thought about. */
  v31: {
    tokens: [
      "<｜tool▁calls▁begin｜>",
      "<｜tool▁calls▁end｜>",
      "<｜tool▁call▁begin｜>",
      "<｜tool▁call▁end｜>",
      "<｜tool▁sep｜>",
      "<｜tool▁output▁begin｜>",
      "<｜tool▁output▁end｜>",
    ],
    source: `{{ bos_token }}{% set ns = namespace(user=false) %}{%- for m in messages %}{%- if m.role == 'user' %}{% set ns.user = true %}{{ '<｜User｜>' + m.content }}{%- elif m.role == 'system' %}{{ m.content }}{%- elif m.role == 'tool' %}{% set ns.user = false %}{{ '<｜tool▁output▁begin｜>' + m.content + '<｜tool▁output▁end｜>' }}{%- else %}{% if ns.user %}{{ '<｜Assistant｜></think>' }}{% endif %}{% set ns.user = false %}{{ (m.content or '').split('</think>')[-1] }}{% if m.tool_calls %}{{ '<｜tool▁calls▁begin｜>' }}{% endif %}{{ '<｜end▁of▁sentence｜>' }}{%- endif %}{%- endfor %}{%- if add_generation_prompt and ns.user %}{{ '<｜Assistant｜>' }}{{ '<think>' if thinking else '</think>' }}{%- endif %}`,
  },
  /** DeepSeek-V3.2, as people write it in Jinja. */
  v32: {
    tokens: ["｜DSML｜"],
    source: `{{ bos_token }}{% if tools %}{{ '## Tools\\n' }}{% for t in tools %}{{ t.function | tojson }}{{ '\\n' }}{% endfor %}{{ '<｜DSML｜function_calls>' }}{% endif %}{%- for m in messages %}{%- if m.role == 'user' %}{{ '<｜User｜>' + m.content + '<｜Assistant｜>' }}{%- elif m.role == 'system' %}{{ m.content }}{%- elif m.role == 'tool' %}{{ '<function_results>\\n<result>' + m.content + '</result>\\n</function_results>' }}{%- else %}{{ m.content + '<｜end▁of▁sentence｜>' }}{%- endif %}{%- endfor %}`,
  },
  /** Qwen 2.5 and 3, and others after Hermes. */
  qwen3: {
    tokens: ["<|im_start|>", "<|im_end|>", "<tool_call>", "</tool_call>", "<tool_response>", "</tool_response>"],
    source: `{%- if tools %}{{- '<|im_start|>system\\n# Tools\\n<tools>' }}{%- for t in tools %}{{- '\\n' }}{{- t | tojson }}{%- endfor %}{{- '\\n</tools>\\nWrite calls between <tool_call></tool_call>.<|im_end|>\\n' }}{%- endif %}{%- for m in messages %}{%- if m.role == 'tool' %}{{- '<|im_start|>user\\n<tool_response>\\n' + m.content + '\\n</tool_response><|im_end|>\\n' }}{%- elif m.role == 'assistant' %}{{- '<|im_start|>assistant\\n' + (m.content or '') }}{%- for c in m.tool_calls or [] %}{{- '\\n<tool_call>\\n{"name": "' + c.function.name + '", "arguments": ' + (c.function.arguments | tojson) + '}\\n</tool_call>' }}{%- endfor %}{{- '<|im_end|>\\n' }}{%- else %}{{- '<|im_start|>' + m.role + '\\n' + m.content + '<|im_end|>\\n' }}{%- endif %}{%- endfor %}{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{%- if enable_thinking is defined and enable_thinking is false %}{{- '<think>\\n\\n</think>\\n\\n' }}{%- endif %}{%- endif %}`,
  },
  llama3: {
    tokens: ["<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"],
    source: `{{ bos_token }}{% if tools %}{{ '<|start_header_id|>system<|end_header_id|>\\n\\n' }}{% for t in tools %}{{ t | tojson(indent=4) }}{% endfor %}{{ '<|eot_id|>' }}{% endif %}{% for m in messages %}{{ '<|start_header_id|>' + ('ipython' if m.role == 'tool' else m.role) + '<|end_header_id|>\\n\\n' + m.content | trim + '<|eot_id|>' }}{% endfor %}{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}{% endif %}`,
  },
  /** SmolLM2: knows no tools. */
  smollm2: {
    tokens: ["<|im_start|>", "<|im_end|>"],
    source: `{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\\n' + m['content'] + '<|im_end|>' + '\\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}`,
  },
};

const FIXTURE = new URL("../../src/tokenizer/fixtures/v3/", import.meta.url);
const read = (name: string): any => JSON.parse(readFileSync(new URL(name, FIXTURE), "utf8"));

/** DeepSeek-V3's small fixture with these marks besides, and a template. */
export function toolTokenizer(name: string): Tokenizer {
  const { source, tokens } = TOOL_TEMPLATES[name] ?? { source: "", tokens: [] };
  const json = read("tokenizer.json");
  let id = 1000;
  for (const content of tokens)
    json.added_tokens.push({ id: id++, content, special: !content.includes("tool_"), normalized: false });
  return new Tokenizer(json, { ...read("tokenizer_config.json"), chat_template: source });
}

export interface ToolModel {
  model: ServedModel;
  fake: FakeModel;
  tokenizer: Tokenizer;
  /** What it was given, as text, and its ids. */
  prompts: { text: string; ids: readonly number[] }[];
  /** A fetch for clients, to the app before it. */
  fetch: (url: string | URL | Request, init?: RequestInit) => Promise<Response>;
  ask: (body: object) => Promise<any>;
  close: () => Promise<void>;
}

/** A model that writes what `script` says to a prompt, as far as it may; `undefined`: anything at all. */
export function toolModel(name: string, script: (prompt: string) => string | undefined): ToolModel {
  const tokenizer = toolTokenizer(name);
  const { vocabSize } = tokenizer;
  const prompts: ToolModel["prompts"] = [];
  const answers = new Map<string, number[] | undefined>();
  const [eos = 0] = tokenizer.eosIds;
  const fake = fakeModel(
    (tokens) => {
      const prompt = prompts.findLast(
        ({ ids }) => ids.length <= tokens.length && ids.every((id, i) => id === tokens[i]),
      );
      const from = prompt?.ids.length ?? 0;
      if (!answers.has(prompt?.text ?? "")) {
        const text = script(prompt?.text ?? "");
        answers.set(prompt?.text ?? "", text === undefined ? undefined : tokenizer.encode(text));
      }
      const answer = answers.get(prompt?.text ?? "");
      if (answer !== undefined) return answer[tokens.length - from] ?? eos;
      const logits = hashLogits(tokens, vocabSize);
      for (const id of [eos, ...'"}],'].map((c) => (typeof c === "string" ? (tokenizer.idOf(c) ?? eos) : c)))
        logits[id]! += 5;
      return logits;
    },
    { vocabSize, contextTokens: 8192 },
  );
  // trying grammars out takes a thread for each of them, and is tested where it is done
  const grammars = new (class extends GrammarService {
    override async check(): Promise<void> {}
  })(() => vocabularyOf(tokenizer, vocabSize, speechOf(tokenizer.chatTemplate).format.marks), vocabSize);
  const base = served(fake);
  const engine: ServedModel["engine"] = {
    limits: base.engine.limits,
    generate: (request, signal, client) => {
      prompts.push({ text: tokenizer.decode(request.prompt), ids: request.prompt });
      return base.engine.generate(request, signal, client);
    },
    score: (tokens, top, signal, client) => base.engine.score(tokens, top, signal, client),
    status: () => base.engine.status(),
    close: () => base.engine.close(),
  };
  const info = { ...base.info, id: name, vocabSize, contextTokens: 8192 };
  const model: ServedModel = { engine, tokenizer, grammars, info };
  const app = createApp({ model });
  const fetch: ToolModel["fetch"] = async (url, init) => app.request(String(url), init);
  return {
    model,
    fake,
    tokenizer,
    prompts,
    fetch,
    ask: async (body) => {
      const sent = { temperature: 0, ...body };
      return (
        await fetch("http://127.0.0.1/v1/chat/completions", { method: "POST", body: JSON.stringify(sent) })
      ).json();
    },
    close: async () => {
      await grammars.close();
      await engine.close();
    },
  };
}
