/** The chat's state: settings, conversations and connection, kept in the browser. */
import { type ChatMessage, type ChatRequest, Fault, fetchModel, type ModelCard, streamChat } from "../net/api.ts";
import { createStore, readStored, writeStored } from "../store.ts";
import { splitThought } from "../text/think.ts";
import type { Answer, Conversation, Settings, Turn } from "./types.ts";

const LIST = "sumbi.chats";
const one = (id: string) => `sumbi.chat.${id}`;
export const DEFAULTS: Settings = { temperature: null, topP: null, maxTokens: null, seed: null, system: "" };

export const settings = createStore<Settings>({ ...DEFAULTS, ...readStored<Partial<Settings>>("sumbi.settings") });
settings.subscribe(() => writeStored("sumbi.settings", settings.get()));

export const conversations = createStore<Conversation[]>(loadAll());
export const currentId = createStore<string | null>(null);
/** Set where the browser's storage is full or forbidden: chats then live only as long as the page. */
export const storageFailed = createStore(false);

export type Connection =
  | { state: "connecting" }
  | { state: "up"; model: ModelCard }
  | { state: "down" | "none" | "locked"; message: string };
export const connection = createStore<Connection>({ state: "connecting" });

const running = new Map<string, AbortController>();

export const newId = (): string => Date.now().toString(36) + Math.random().toString(36).slice(2, 8);

function loadAll(): Conversation[] {
  const ids = readStored<string[]>(LIST);
  if (!Array.isArray(ids)) return [];
  const found = ids
    .map((id) => readStored<Conversation>(one(id)))
    .filter((c): c is Conversation => Array.isArray(c?.turns));
  return found.map((c) => ({ ...c, turns: c.turns.map((turn) => ({ ...turn, answers: turn.answers.map(settled) })) }));
}

/** An answer that was under way when its page closed. */
function settled(answer: Answer): Answer {
  return answer.status === "waiting" || answer.status === "streaming" ? { ...answer, status: "stopped" } : answer;
}

function save(conversation: Conversation): void {
  const kept = writeStored(one(conversation.id), conversation);
  const listed = writeStored(
    LIST,
    conversations.get().map((c) => c.id),
  );
  storageFailed.set(!kept || !listed);
}

// Another tab of this page wrote: show its chats too, but keep what this tab is answering.
addEventListener("storage", (event) => {
  if (!event.key?.startsWith("sumbi.chat")) return;
  const own = new Map(conversations.get().map((c) => [c.id, c]));
  const busy = (id: string) => own.get(id)?.turns.some((turn) => running.has(turn.id));
  conversations.set(loadAll().map((c) => (busy(c.id) ? own.get(c.id)! : c)));
});

/** Asks who serves; called at the start, after failures, and every so often while the server is away. */
export async function connect(): Promise<void> {
  try {
    connection.set({ state: "up", model: await fetchModel() });
  } catch (error) {
    const kind = error instanceof Fault ? error.kind : "server";
    const state = kind === "no-model" ? "none" : kind === "key" ? "locked" : "down";
    connection.set({ state, message: error instanceof Error ? error.message : String(error) });
  }
}

export function current(): Conversation | undefined {
  return conversations.get().find((c) => c.id === currentId.get());
}

function update(id: string, change: (c: Conversation) => Conversation, persist = true): void {
  conversations.set((all) => all.map((c) => (c.id === id ? change(c) : c)));
  const changed = conversations.get().find((c) => c.id === id);
  if (persist && changed) save(changed);
}

function updateTurn(id: string, turnId: string, change: (turn: Turn) => Turn, persist = true): void {
  update(id, (c) => ({ ...c, turns: c.turns.map((turn) => (turn.id === turnId ? change(turn) : turn)) }), persist);
}

export function rename(id: string, title: string): void {
  if (title.trim()) update(id, (c) => ({ ...c, title: title.trim().slice(0, 80) }));
}

export function remove(id: string): void {
  for (const turn of conversations.get().find((c) => c.id === id)?.turns ?? []) stop(turn.id);
  conversations.set((all) => all.filter((c) => c.id !== id));
  writeStored(one(id), undefined);
  writeStored(
    LIST,
    conversations.get().map((c) => c.id),
  );
  if (currentId.get() === id) currentId.set(null);
}

/** Sends a question in the conversation on the page, which begins with it where there is none. */
export function ask(question: string): void {
  let conversation = current();
  if (!conversation) {
    const title = question.trim().replace(/\s+/g, " ").slice(0, 60);
    conversation = { id: newId(), title, createdAt: Date.now(), updatedAt: Date.now(), turns: [] };
    const made = conversation;
    conversations.set((all) => [made, ...all]);
    currentId.set(made.id);
  }
  const turn: Turn = { id: newId(), question, answers: [], shown: 0 };
  update(conversation.id, (c) => ({ ...c, turns: [...c.turns, turn] }));
  void answer(conversation.id, turn.id);
}

/** Asks a question again, in new words where given. What came after it is dropped, as it answered another past. */
export function askAgain(conversationId: string, turnId: string, question?: string): void {
  const conversation = conversations.get().find((c) => c.id === conversationId);
  const at = conversation?.turns.findIndex((turn) => turn.id === turnId) ?? -1;
  if (!conversation || at < 0) return;
  for (const turn of conversation.turns.slice(at)) stop(turn.id);
  update(conversationId, (c) => ({
    ...c,
    turns: c.turns
      .slice(0, at + 1)
      .map((turn, i) => (i === at && question !== undefined ? { ...turn, question, answers: [], shown: 0 } : turn)),
  }));
  void answer(conversationId, turnId);
}

export function show(conversationId: string, turnId: string, index: number): void {
  updateTurn(conversationId, turnId, (turn) => ({
    ...turn,
    shown: Math.max(0, Math.min(turn.answers.length - 1, index)),
  }));
}

export function stop(turnId: string): void {
  running.get(turnId)?.abort();
}

/** Stops whatever the conversation on the page is answering; false where nothing was. */
export function stopCurrent(): boolean {
  const turn = current()?.turns.find((t) => running.has(t.id));
  if (turn) stop(turn.id);
  return turn !== undefined;
}

/** The messages that lead up to a turn: thoughts are left out, as R1's own template does, and so are turns without an answer. */
function messagesFor(conversation: Conversation, turnId: string, system: string): ChatMessage[] {
  const messages: ChatMessage[] = system.trim() ? [{ role: "system", content: system }] : [];
  for (const turn of conversation.turns) {
    const given = turn.answers[turn.shown];
    if (turn.id === turnId) {
      messages.push({ role: "user", content: turn.question });
      break;
    }
    const text = given ? splitThought(given.raw).text : "";
    if (!text.trim()) continue;
    messages.push({ role: "user", content: turn.question }, { role: "assistant", content: text });
  }
  return messages;
}

async function answer(conversationId: string, turnId: string): Promise<void> {
  const conversation = conversations.get().find((c) => c.id === conversationId);
  if (!conversation) return;
  running.get(turnId)?.abort();
  const abort = new AbortController();
  running.set(turnId, abort);

  const known = connection.get();
  const model = known.state === "up" ? known.model.id : "";
  let draft: Answer = { raw: "", reasoning: "", model, startedAt: Date.now(), pieces: 0, status: "waiting" };
  const begun = performance.now();
  let index = 0;
  updateTurn(conversationId, turnId, (turn) => {
    index = turn.answers.length;
    return { ...turn, answers: [...turn.answers, draft], shown: index };
  });
  let scheduled = false;
  let savedAt = begun;
  const publish = (persist: boolean) => {
    const now = draft;
    updateTurn(
      conversationId,
      turnId,
      (turn) => ({ ...turn, answers: turn.answers.map((a, i) => (i === index ? now : a)) }),
      persist,
    );
  };
  const publishSoon = () => {
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
    for await (const piece of streamChat(requestFor(conversation, turnId, model), abort.signal)) {
      const ms = performance.now() - begun;
      const text = (piece.content ?? "") + (piece.reasoning ?? "");
      draft = {
        ...draft,
        status: "streaming",
        raw: draft.raw + (piece.content ?? ""),
        reasoning: draft.reasoning + (piece.reasoning ?? ""),
      };
      if (piece.usage) draft.usage = piece.usage;
      if (piece.finish) draft.finish = piece.finish;
      if (piece.dropped) draft.dropped = piece.dropped;
      if (text) {
        draft.pieces++;
        draft.firstMs ??= ms;
        draft.lastMs = ms;
        if (draft.thoughtMs === undefined && hasThought(draft) && !isThinking(draft)) draft.thoughtMs = ms;
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
  if (running.get(turnId) === abort) running.delete(turnId);
  publish(false);
  update(conversationId, (c) => ({ ...c, updatedAt: Date.now() }));
  conversations.set((all) => [...all].sort((a, b) => b.updatedAt - a.updatedAt));
}

function requestFor(conversation: Conversation, turnId: string, model: string): ChatRequest {
  const { temperature, topP, maxTokens, seed, system } = settings.get();
  const request: ChatRequest = { messages: messagesFor(conversation, turnId, system), truncation: "auto" };
  if (model) request.model = model;
  if (temperature !== null) request.temperature = temperature;
  if (topP !== null) request.top_p = topP;
  if (maxTokens !== null) request.max_tokens = maxTokens;
  if (seed !== null) request.seed = seed;
  return request;
}

/** What to show of an answer: its thought, from either of the two ways servers send it, and its text. */
export function partsOf(answer: Answer): { thought: string; text: string; thinking: boolean } {
  const growing = answer.status === "streaming" || answer.status === "waiting";
  if (answer.reasoning) {
    return {
      thought: answer.reasoning.trim(),
      text: answer.raw.trimStart(),
      thinking: growing && answer.raw.trim() === "",
    };
  }
  return splitThought(answer.raw, growing);
}

/** Whether an answer was cut off because question and answer filled the model's context, and not by the settings. */
function fillsContext({ finish, usage }: Answer): boolean {
  const link = connection.get();
  const context = link.state === "up" ? link.model.details.contextTokens : undefined;
  return (
    finish === "length" &&
    usage !== undefined &&
    typeof context === "number" &&
    usage.prompt_tokens + usage.completion_tokens >= context
  );
}

const isThinking = (answer: Answer): boolean => partsOf(answer).thinking;
const hasThought = (answer: Answer): boolean => partsOf(answer).thought !== "";
