/** Chats as they are kept, in the browser and in files: today's form, the form of before, and what is wrong with others. */
import type { Answer, Attachment, Conversation, Settings, Turn } from "./types.ts";

type Fields = Record<string, unknown>;

const isObject = (value: unknown): value is Fields =>
  typeof value === "object" && value !== null && !Array.isArray(value);
const textOf = (value: unknown, otherwise = ""): string => (typeof value === "string" ? value : otherwise);
const numberOf = (value: unknown): number | undefined =>
  typeof value === "number" && Number.isFinite(value) ? value : undefined;
/** An object whose values are all numbers, as token counts and times are. */
const numbersOf = <T extends object>(value: unknown, ...names: (keyof T & string)[]): T | undefined =>
  isObject(value) && names.every((name) => numberOf(value[name]) !== undefined) ? (value as T) : undefined;
const given = <T extends object>(fields: T): Partial<T> =>
  Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as Partial<T>;

export const newId = (): string => Date.now().toString(36) + Math.random().toString(36).slice(2, 8);

/**
 * A chat from JSON of any origin, with only what the page knows of; null where it is none. Chats of the first form had one branch: each turn
 * follows the answer on show in the turn before it. What was being answered when its page closed counts as stopped.
 */
export function readConversation(value: unknown): Conversation | null {
  if (!isObject(value) || typeof value.id !== "string" || !Array.isArray(value.turns)) return null;
  const turns: Turn[] = [];
  for (const kept of value.turns) {
    const turn = readTurn(kept);
    if (!turn) return null;
    const before = turns.at(-1);
    turns.push(
      value.form === 2 ? turn : { ...turn, after: before ? (before.answers[before.shown]?.id ?? null) : null },
    );
  }
  const now = Date.now();
  return {
    form: 2,
    id: value.id,
    title: textOf(value.title) || textOf(turns[0]?.question).slice(0, 60),
    createdAt: numberOf(value.createdAt) ?? now,
    updatedAt: numberOf(value.updatedAt) ?? now,
    turns,
    picked: isObject(value.picked)
      ? Object.fromEntries(
          Object.entries(value.picked).filter((pair): pair is [string, string] => typeof pair[1] === "string"),
        )
      : {},
    ...(isObject(value.settings) ? { settings: readSettings(value.settings) } : {}),
  };
}

export const DEFAULTS: Settings = {
  temperature: null,
  topP: null,
  maxTokens: null,
  seed: null,
  system: "",
  thinking: null,
  thinkingBudget: null,
  model: null,
};

/** Settings from JSON of any origin; what is missing or no such value is the default. */
export function readSettings(value: unknown): Settings {
  const from = isObject(value) ? value : {};
  return {
    temperature: numberOf(from.temperature) ?? null,
    topP: numberOf(from.topP) ?? null,
    maxTokens: numberOf(from.maxTokens) ?? null,
    seed: numberOf(from.seed) ?? null,
    system: textOf(from.system),
    thinking: typeof from.thinking === "boolean" ? from.thinking : null,
    thinkingBudget: numberOf(from.thinkingBudget) ?? null,
    model: typeof from.model === "string" ? from.model : null,
  };
}

function readTurn(value: unknown): Turn | null {
  if (!isObject(value) || typeof value.question !== "string" || !Array.isArray(value.answers)) return null;
  const answers = value.answers.map(readAnswer);
  if (answers.includes(null)) return null;
  // what follows an answer names it: a turn always has one
  const kept = answers.length > 0 ? (answers as Answer[]) : [{ ...readAnswer({})!, status: "stopped" as const }];
  const shown = Math.trunc(numberOf(value.shown) ?? 0);
  return {
    id: textOf(value.id) || newId(),
    after: typeof value.after === "string" ? value.after : null,
    question: value.question,
    ...given({ files: readFiles(value.files) }),
    answers: kept,
    shown: Math.max(0, Math.min(kept.length - 1, shown)),
  };
}

function readFiles(value: unknown): Attachment[] | undefined {
  const files = Array.isArray(value) ? value.filter(isObject) : [];
  const read = files.map(({ name, text }) => ({ name: textOf(name), text: textOf(text) }));
  return read.length > 0 ? read : undefined;
}

function readAnswer(value: unknown): Answer | null {
  if (!isObject(value)) return null;
  const { status, fault } = value;
  return {
    id: textOf(value.id) || newId(),
    raw: textOf(value.raw),
    reasoning: textOf(value.reasoning),
    model: textOf(value.model),
    startedAt: numberOf(value.startedAt) ?? 0,
    pieces: numberOf(value.pieces) ?? 0,
    status:
      status === "waiting" || status === "streaming"
        ? "stopped"
        : status === "stopped" || status === "failed"
          ? status
          : "done",
    ...given({
      firstMs: numberOf(value.firstMs),
      thoughtMs: numberOf(value.thoughtMs),
      lastMs: numberOf(value.lastMs),
      usage: numbersOf<NonNullable<Answer["usage"]>>(value.usage, "prompt_tokens", "completion_tokens"),
      timings: numbersOf<NonNullable<Answer["timings"]>>(value.timings, "predicted_n", "predicted_ms"),
      finish: typeof value.finish === "string" ? value.finish : undefined,
      dropped: numberOf(value.dropped),
      contextFull: value.contextFull === true || undefined,
      edited: value.edited === true || undefined,
      fault:
        isObject(fault) && typeof fault.kind === "string"
          ? ({ kind: fault.kind, message: textOf(fault.message) } as Answer["fault"])
          : undefined,
    }),
  };
}
