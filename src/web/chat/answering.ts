/** Questions asked and answers received: new ones, other ones, ones gone on with. */
import { type ChatRequest, Fault, streamChat, type Timings, type Usage } from "../net/api.ts";
import { begin, currentId, findChat, remove, touch, update } from "./chats.ts";
import { connect, connection, servedModel, thoughtsOf } from "./connection.ts";
import { newId } from "./kept.ts";
import { messagesFor } from "./messages.ts";
import { isGrowing, partsOf } from "./parts.ts";
import { settings, settingsOf } from "./settings.ts";
import { changeAnswer, findAnswer, lastAnswer, withAnswer, withTurn } from "./tree.ts";
import type { Answer, Attachment, Conversation, Turn } from "./types.ts";

/** Answers under way, by their ids. */
const running = new Map<string, AbortController>();

/** Asks a question at the end of the conversation on the page, which begins with it where there is none. */
export function ask(question: string, files: readonly Attachment[] = []): void {
  const chat = findChat(currentId.get()) ?? begin(question, settings.get());
  askAfter(chat, lastAnswer(chat)?.id ?? null, question, files);
}

/** Asks a question in other words: a version beside the one that was, which keeps its answers and all that followed. */
export function askOtherwise(chatId: string, turn: Turn, question: string): void {
  const chat = findChat(chatId);
  if (!chat) return;
  stopAll(chat);
  askAfter(chat, turn.after, question, turn.files);
}

function askAfter(
  { id }: Conversation,
  after: string | null,
  question: string,
  files: readonly Attachment[] = [],
): void {
  const turn: Turn = {
    id: newId(),
    after,
    question,
    ...(files.length > 0 ? { files: [...files] } : {}),
    answers: [],
    shown: 0,
  };
  update(id, (c) => withTurn(c, turn), false);
  askAgain(id, turn.id);
}

/** Asks for one more answer to a question. */
export function askAgain(chatId: string, turnId: string): void {
  const chat = findChat(chatId);
  if (!chat) return;
  stopAll(chat);
  const model = modelFor(chat) ?? "";
  const draft: Answer = {
    id: newId(),
    raw: "",
    reasoning: "",
    model,
    startedAt: Date.now(),
    pieces: 0,
    status: "waiting",
  };
  update(chatId, (c) => withAnswer(c, turnId, draft));
  void receive(chatId, draft, requestFor(chat, turnId));
}

/** Goes on with an answer that was cut off or stopped, where it ended. */
export function goOn(chatId: string, turnId: string, answerId: string): void {
  const chat = findChat(chatId);
  const answer = chat && findAnswer(chat, answerId);
  if (!chat || !answer || isGrowing(answer)) return;
  stopAll(chat);
  const { finish, contextFull, fault, ...kept } = answer;
  void receive(chatId, { ...kept, status: "waiting" }, requestFor(chat, turnId, kept));
}

/** Keeps other words of an answer, as one more of its question; `further` lets the model go on from there. */
export function rewrite(chatId: string, turnId: string, answer: Answer, text: string, further: boolean): void {
  const { thought } = partsOf(answer);
  const changed: Answer = {
    id: newId(),
    raw: text,
    reasoning: thought,
    model: answer.model,
    startedAt: Date.now(),
    pieces: 0,
    status: "done",
    edited: true,
  };
  update(chatId, (c) => withAnswer(c, turnId, changed));
  if (further) goOn(chatId, turnId, changed.id);
}

export function stop(answerId: string): void {
  running.get(answerId)?.abort();
}

/** Stops whatever a conversation is answering; false where nothing was. */
export function stopAll(chat: Conversation | undefined): boolean {
  const under = chat?.turns.flatMap(({ answers }) => answers).filter(({ id }) => running.has(id)) ?? [];
  for (const { id } of under) stop(id);
  return under.length > 0;
}

/** Deletes a chat, and stops what it is answering. */
export function deleteChat(chat: Conversation): void {
  stopAll(chat);
  remove(chat.id);
}

/** Stops what the conversation on the page is answering; false where nothing was. */
export const stopCurrent = (): boolean => stopAll(findChat(currentId.get()));

/** The model that a chat is answered by: its own choice, or the server's first; undefined while that is not known. */
const modelFor = (chat: Conversation): string | undefined => settingsOf(chat).model ?? servedModel()?.id;

function requestFor(chat: Conversation, turnId: string, begun?: Partial<Answer>): ChatRequest {
  const { temperature, topP, maxTokens, seed, system, thinking, thinkingBudget } = settingsOf(chat);
  const model = modelFor(chat);
  const request: ChatRequest = { messages: messagesFor(chat, turnId, system, begun), truncation: "auto" };
  if (model) request.model = model;
  if (temperature !== null) request.temperature = temperature;
  if (topP !== null) request.top_p = topP;
  if (maxTokens !== null) request.max_tokens = maxTokens;
  if (seed !== null) request.seed = seed;
  const can = thoughtsOf(servedModel());
  if (can.switched && thinking !== null) request.thinking = { type: thinking ? "enabled" : "disabled" };
  if (can.thinks && thinking !== false && thinkingBudget !== null) request.thinking_budget = thinkingBudget;
  return request;
}

/** Asks the server, and lets the answer grow on the page from what `draft` holds already. */
async function receive(chatId: string, draft: Answer, request: ChatRequest): Promise<void> {
  const abort = new AbortController();
  running.set(draft.id, abort);
  const publish = (persist: boolean): void => update(chatId, (c) => changeAnswer(c, draft), persist);
  publish(true);
  const before = draft;
  const begun = performance.now();
  let pause = 0;
  let scheduled = false;
  let savedAt = begun;
  const publishSoon = (): void => {
    if (scheduled) return;
    scheduled = true;
    // A hidden tab draws no frames; a timer keeps its answer growing.
    const later = document.hidden ? (run: () => void) => setTimeout(run, 250) : requestAnimationFrame;
    later(() => {
      scheduled = false;
      if (draft.status !== "streaming") return;
      const persist = performance.now() - savedAt > 2_000;
      if (persist) savedAt = performance.now();
      publish(persist);
    });
  };

  try {
    for await (const piece of streamChat(request, abort.signal)) {
      const text = (piece.content ?? "") + (piece.reasoning ?? "");
      draft = {
        ...draft,
        status: "streaming",
        raw: draft.raw + (piece.content ?? ""),
        reasoning: draft.reasoning + (piece.reasoning ?? ""),
      };
      if (piece.usage && (before.usage || before.pieces === 0)) draft.usage = usageTogether(before.usage, piece.usage);
      if (piece.timings) draft.timings = timingsTogether(before.timings, piece.timings);
      if (piece.finish) draft.finish = piece.finish;
      if (piece.dropped) draft.dropped = piece.dropped;
      if (text) {
        const now = performance.now() - begun;
        if (draft.pieces === before.pieces) pause = now - (before.lastMs ?? now);
        draft.pieces++;
        draft.firstMs ??= now;
        draft.lastMs = now - pause;
        if (draft.thoughtMs === undefined && hasThought(draft) && !partsOf(draft).thinking)
          draft.thoughtMs = draft.lastMs;
      }
      publishSoon();
    }
    draft = { ...draft, status: "done" };
    publish(false);
    // how long the context is may not be known yet
    if (connection.get().state !== "up") await connect();
    draft = { ...draft, contextFull: fillsContext(draft) };
  } catch (error) {
    if (abort.signal.aborted) draft = { ...draft, status: "stopped" };
    else {
      const fault =
        error instanceof Fault ? error : new Fault("server", error instanceof Error ? error.message : String(error));
      draft = { ...draft, status: "failed", fault: { kind: fault.kind, message: fault.message } };
      if (fault.kind === "unreachable" || fault.kind === "interrupted") void connect();
    }
  }
  if (hasThought(draft)) draft.thoughtMs ??= draft.lastMs;
  if (running.get(draft.id) === abort) running.delete(draft.id);
  publish(false);
  touch(chatId);
}

const thoughtTokens = ({ completion_tokens_details }: Usage): number =>
  completion_tokens_details?.reasoning_tokens ?? 0;

/** The tokens of an answer that took two requests: the second read what the first had written. */
const usageTogether = (before: Usage | undefined, now: Usage): Usage =>
  before
    ? {
        ...now,
        prompt_tokens: before.prompt_tokens,
        completion_tokens: before.completion_tokens + now.completion_tokens,
        completion_tokens_details: { reasoning_tokens: thoughtTokens(before) + thoughtTokens(now) },
      }
    : now;

function timingsTogether(before: Timings | undefined, now: Timings): Timings {
  if (!before) return now;
  const predicted_ms = before.predicted_ms + now.predicted_ms;
  const timed = ({ predicted_ms: ms, predicted_per_second: rate }: Timings): number => ms * (rate ?? 0);
  return {
    ...now,
    predicted_n: before.predicted_n + now.predicted_n,
    predicted_ms,
    predicted_per_second: predicted_ms > 0 ? (timed(before) + timed(now)) / predicted_ms : null,
  };
}

const hasThought = (answer: Answer): boolean => partsOf(answer).thought !== "";

/** Whether an answer was cut off because question and answer filled the model's context, and not by the settings. */
function fillsContext({ finish, usage }: Answer): boolean {
  const context = servedModel()?.details.contextTokens;
  return (
    finish === "length" &&
    usage !== undefined &&
    typeof context === "number" &&
    usage.prompt_tokens + usage.completion_tokens >= context
  );
}
