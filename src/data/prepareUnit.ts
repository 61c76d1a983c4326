/** One unit of work of preparing data: its documents tokenised into a shard. */
import { DataError } from "../errors.ts";
import type { Tokenizer } from "../tokenizer/index.ts";
import { BUILTINS } from "./builtin.ts";
import { type Broken, type Document, type OnBroken, readPart, type TrainingMessage } from "./documents.ts";
import { Places } from "./places.ts";
import { hashText } from "./random.ts";
import { emptyReading, leaveOut, type Reading } from "./report.ts";
import { type Shard, ShardWriter, type Split, tokenTypeOf } from "./shards.ts";
import type { Unit } from "./units.ts";
import { within } from "./within.ts";

export interface UnitJob {
  unit: Unit;
  dir: string;
  /** A text with a hash below this is held out. 0 … 2^32 */
  heldoutBelow: number;
  /** The share of documents, for corpora that are generated. */
  holdout: number;
  onBroken: OnBroken;
}

/** Text that is encoded in one go, and the longest that it may take whatever the tokenizer's expressions are: a minute, and more for much. */
const GROUP_CHARS = 65_536;
const GROUP_MILLIS = 60_000;
const GROUP_CHARS_PER_MILLI = 100;

export interface UnitResult {
  index: number;
  shards: Record<Split, Shard[]>;
  documents: number;
  /** The lowest hash of a text that was not held out, so that a small corpus can still give one up. */
  lowestHash: number;
  /** The highest hash of a text that was held out, so that a small corpus whose texts all were can still be trained on. */
  highestHash: number;
  reading: Reading;
}

/**
 * Reads, tokenises and writes one unit; `onBytes` is awaited and may end it. The same job gives the same bytes on every machine.
 * Throws InterruptedError when a group of documents takes longer than `groupMillis` and some to encode.
 */
export async function prepareUnit(
  job: UnitJob,
  tokenizer: Tokenizer,
  onBytes: (bytes: number) => void | Promise<void>,
  groupMillis: number = GROUP_MILLIS,
): Promise<UnitResult> {
  const type = tokenTypeOf(tokenizer.vocabSize);
  const name = String(job.unit.index).padStart(6, "0");
  const writer = (split: Split, chat: boolean) =>
    new ShardWriter(job.dir, `${split}-${chat ? "chat-" : ""}${name}.bin`, chat, type);
  const writers = {
    train: [writer("train", false), writer("train", true)],
    heldout: [writer("heldout", false), writer("heldout", true)],
  };
  using _files = {
    [Symbol.dispose]: () =>
      Object.values(writers)
        .flat()
        .forEach((each) => each.discard()),
  };
  const result: UnitResult = {
    index: job.unit.index,
    shards: { train: [], heldout: [] },
    documents: 0,
    lowestHash: 2 ** 32,
    highestHash: -1,
    reading: emptyReading(),
  };
  const { reading } = result;
  const report = (broken: Broken) => leaveOut(reading, broken);
  let heldoutCounted = false;
  /** Documents that are encoded together, under one deadline. */
  const group: { document: Document; split: Split | undefined }[] = [];
  let groupChars = 0;
  const take = (document: Document, split: Split | undefined, path: string) => {
    group.push({ document, split });
    groupChars += bytesOf(document);
    if (groupChars >= GROUP_CHARS) encodeGroup(path);
  };
  const encodeGroup = (path: string) => {
    const millis = Math.ceil(groupMillis + groupChars / GROUP_CHARS_PER_MILLI);
    const encoded = within(millis, `${path}: tokenising`, () =>
      group.map(({ document }) => encodeDocument(document, tokenizer)),
    );
    for (const [i, { document, split }] of group.entries()) write(document, split, encoded[i] ?? { ids: [], hash: 0 });
    group.length = 0;
    groupChars = 0;
  };
  const write = (document: Document, split: Split | undefined, encoded: { ids: number[]; hash: number }) => {
    result.documents++;
    if (split === undefined) {
      split = encoded.hash < job.heldoutBelow ? "heldout" : "train";
      if (split === "train") result.lowestHash = Math.min(result.lowestHash, encoded.hash);
      else result.highestHash = Math.max(result.highestHash, encoded.hash);
    }
    const isText = "text" in document;
    if (!isText) reading.conversations++;
    else if (document.first) reading.texts++;
    if (!isText || document.first) heldoutCounted = false;
    if (split === "heldout" && !heldoutCounted) {
      reading.heldout++;
      heldoutCounted = true;
    }
    const to = writers[split][isText ? 0 : 1]!;
    for (const id of encoded.ids) to.push(id);
  };
  for (const part of job.unit.parts) {
    const generated = part.source.builtin !== undefined && BUILTINS[part.source.builtin.name].generated;
    const count = part.end - part.start;
    const each = part.bytes / Math.max(1, count);
    let seen = 0;
    let told = 0;
    const options = { onBroken: job.onBroken, report };
    for await (const document of readPart(part, { ...options, split: "train" })) {
      take(document, generated ? "train" : undefined, part.source.path);
      seen += part.source.kind === "builtin" || part.source.kind === "parquet" ? each : bytesOf(document);
      if (seen - told > 100_000) {
        await onBytes(seen - told);
        told = seen;
      }
    }
    if (generated && job.holdout > 0) {
      const from = Math.floor(part.start * job.holdout);
      const to = Math.max(part.start === 0 ? 1 : 0, Math.floor(part.end * job.holdout));
      for await (const document of readPart({ ...part, start: from, end: to }, { ...options, split: "heldout" }))
        take(document, "heldout", part.source.path);
    }
    encodeGroup(part.source.path);
    await onBytes(part.bytes - told);
  }
  for (const split of ["train", "heldout"] as const)
    result.shards[split] = writers[split].map((writer) => writer.close()).filter((shard) => shard.tokens > 0);
  return result;
}

function bytesOf(document: Document): number {
  return "text" in document
    ? document.text.length
    : document.messages.reduce((sum, message) => sum + message.content.length + 40, 20);
}

/** BOS, text, EOS; a conversation as its template writes it, with all its thoughts, the ids of messages of weight 0 as ~id. `hash` is of the text alone. */
export function encodeDocument(document: Document, tokenizer: Tokenizer): { ids: number[]; hash: number } {
  const { bosId, eosIds } = tokenizer;
  if ("text" in document) {
    const ids = tokenizer.encode(document.text, { special: false });
    if (document.first && bosId !== undefined) ids.unshift(bosId);
    if (document.last && eosIds.length > 0) ids.push(eosIds[0]!);
    return { ids, hash: hashText(document.text) };
  }
  const { ids, text } = tokenizer.encodeChat(document.messages, { keepThoughts: true });
  if (document.messages.some(({ weight }) => weight === 0)) leaveUntrained(ids, text, document.messages, tokenizer);
  if (bosId !== undefined && ids[0] !== bosId) ids.unshift(bosId);
  if (eosIds.length > 0 && !eosIds.includes(ids[ids.length - 1]!)) ids.push(eosIds[0]!);
  return { ids, hash: hashText(text) };
}

/** Turns the ids of messages of weight 0 into ~id: those of the text that each adds to what stands before it. Throws DataError if that cannot be told. */
function leaveUntrained(ids: number[], text: string, messages: readonly TrainingMessage[], tokenizer: Tokenizer): void {
  const places = new Places(ids, text, tokenizer);
  const endOf = (count: number, i: number): number => {
    const at =
      count === 0 ? 0 : places.after(tokenizer.applyChatTemplate(messages.slice(0, count), { keepThoughts: true }));
    if (at === undefined)
      throw new DataError(
        `messages[${i}].weight: expected a chat template that writes each message after those before it; this model's does not, so leave the weights out`,
      );
    return at;
  };
  const untrained = (i: number): boolean => messages[i]?.weight === 0;
  let from = 0;
  for (let i = 0; i < messages.length; i++) {
    if (untrained(i) && (i === 0 || !untrained(i - 1))) from = endOf(i, i);
    if (untrained(i) && !untrained(i + 1))
      for (let at = from, end = endOf(i + 1, i); at < end; at++) ids[at] = ~(ids[at] ?? 0);
  }
}
