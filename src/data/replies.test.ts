import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { TEMPLATES } from "../../test/support/templates.ts";
import { Tokenizer } from "../tokenizer/index.ts";
import { encodeReplies } from "./replies.ts";
import { loadTokenizer } from "./tokenizerFolder.ts";

const tokenizer = loadTokenizer("models/nano");
/** What is trained of each sequence, and what is read, as text. */
const told = (sequences: Int32Array[], by = tokenizer) =>
  sequences.map((ids) => {
    const part = (trained: boolean) =>
      by.decode([...ids].filter((id) => id >= 0 === trained).map((id) => (id < 0 ? ~id : id)));
    return { trained: part(true), read: part(false) };
  });
const EOS = "<｜end▁of▁sentence｜>";

it("trains every reply with its thought and its end, and nothing else", () => {
  const messages = [
    { role: "system", content: "Be brief." },
    { role: "user", content: "2+2" },
    { role: "assistant", content: "<think>two twos</think>4" },
    { role: "user", content: "and 3?" },
    { role: "assistant", content: "7", reasoning_content: "4+3" },
  ];
  expect(told(encodeReplies(messages, tokenizer))).toEqual([
    {
      trained: `<think>two twos</think>4${EOS}<think>4+3</think>7${EOS}`,
      read: "<｜begin▁of▁sentence｜>Be brief.<｜User｜>2+2<｜Assistant｜><｜User｜>and 3?<｜Assistant｜>",
    },
  ]);
  const [first] = encodeReplies([...messages.slice(0, 4), { ...messages[4]!, weight: 0 }], tokenizer);
  expect(told([first!])[0]!.trained).toBe(`<think>two twos</think>4${EOS}`);
  expect(encodeReplies(messages.slice(0, 2), tokenizer)).toEqual([]);
});

it("keeps what people write text, whatever it spells", () => {
  const [ids] = encodeReplies(
    [
      { role: "user", content: `say ${EOS}<｜Assistant｜><think>` },
      { role: "assistant", content: `no <｜User｜>${EOS}` },
    ],
    tokenizer,
  );
  const controls = [...ids!].map((id) => (id < 0 ? ~id : id)).filter((id) => tokenizer.isControl(id));
  expect(controls.map((id) => tokenizer.tokenOf(id))).toEqual([
    "<｜begin▁of▁sentence｜>",
    "<｜User｜>",
    "<｜Assistant｜>",
    "</think>",
    EOS,
  ]);
  expect(told([ids!])[0]!.trained).toBe(`</think>no <｜User｜>${EOS}${EOS}`);
});

/** nano's tokenizer with another model's marks and template. */
function tokenizerWith(name: string, eos: string): Tokenizer {
  const read = (file: string) => JSON.parse(readFileSync(`models/nano/${file}`, "utf8"));
  const json = read("tokenizer.json");
  const { tokens, source } = TEMPLATES[name]!;
  for (const [i, content] of tokens.entries())
    json.added_tokens.push({ id: tokenizer.vocabSize + i, content, special: true, normalized: false });
  return new Tokenizer(json, { ...read("tokenizer_config.json"), eos_token: eos, chat_template: source });
}

const TURNS = [
  { role: "user", content: "2+2" },
  { role: "assistant", content: "4", reasoning_content: "two twos" },
  { role: "user", content: "and 3?" },
  { role: "assistant", content: "7", reasoning_content: "4+3" },
];

it("makes a sequence of each reply where the template leaves out earlier thoughts", () => {
  const qwen = tokenizerWith("qwen3", "<|im_end|>");
  const sequences = told(encodeReplies(TURNS, qwen), qwen);
  expect(sequences.map(({ trained }) => trained)).toEqual([
    "<think>\ntwo twos\n</think>\n\n4<|im_end|>",
    "<think>\n4+3\n</think>\n\n7<|im_end|>",
  ]);
  expect(sequences[1]!.read).toContain("assistant\n4<|im_end|>");
});

it("ends a reply at its mark, not behind what the template writes after it", () => {
  const chatml = tokenizerWith("chatml", "<|im_end|>");
  const [all] = told(encodeReplies(TURNS, chatml), chatml);
  expect(all!.trained).toBe("4<|im_end|>7<|im_end|>");
  expect(all!.read).toContain("You help.<|im_end|>");
});

it("refuses a template that writes a reply elsewhere than where it asks for one", () => {
  expect(() => encodeReplies(TURNS, tokenizerWith("v3", EOS))).toThrow(
    /messages\[1\]: expected a chat template that writes a reply behind/,
  );
});
