/** The chats of this browser: the list, the one on show by its address, and what is kept of them. */
import { go, route } from "../router.ts";
import { createStore, readStored, writeStored } from "../store.ts";
import { newId, readConversation } from "./kept.ts";
import { isGrowing } from "./parts.ts";
import type { Conversation, Settings } from "./types.ts";

const LIST = "sumbi.chats";
const PREFIX = "sumbi.chat.";
const one = (id: string): string => PREFIX + id;

export const conversations = createStore<Conversation[]>(loadAll());
/** The chat that the address names (`/c/ID`); null where it names none. */
export const currentId = createStore<string | null>(idIn(route.get()));
route.subscribe(() => currentId.set(idIn(route.get())));
/** Set where the browser's storage is full or forbidden: chats then live only as long as the page. */
export const storageFailed = createStore(false);
/** The chat that was deleted last, for as long as that can be undone. */
export const deleted = createStore<Conversation | null>(null);

export const addressOf = (id: string): string => `/c/${encodeURIComponent(id)}`;

function idIn(path: string): string | null {
  const found = /^\/c\/([^/?]+)/.exec(path)?.[1];
  try {
    return found === undefined ? null : decodeURIComponent(found);
  } catch {
    return null;
  }
}

/** Every chat that can be read; one that cannot stays in the storage as it is. */
function loadAll(): Conversation[] {
  return keptIds()
    .map((id) => readConversation(readStored<unknown>(one(id))))
    .filter((c): c is Conversation => c !== null);
}

function keptIds(): string[] {
  const ids = readStored<unknown>(LIST);
  return Array.isArray(ids) ? ids.filter((id): id is string => typeof id === "string") : [];
}

/** Writes the list: the chats of this page, and those that are kept and could not be read. */
function saveList(): boolean {
  const shown = conversations.get().map(({ id }) => id);
  const others = keptIds().filter((id) => !shown.includes(id) && readStored<unknown>(one(id)) !== null);
  return writeStored(LIST, [...shown, ...others]);
}

function save(conversation: Conversation): void {
  const kept = writeStored(one(conversation.id), conversation);
  storageFailed.set(!saveList() || !kept);
}

export const isBusy = (conversation: Conversation): boolean =>
  conversation.turns.some(({ answers }) => answers.some(isGrowing));

// Another tab of this page wrote: show its chats too, but keep what this tab is answering.
addEventListener("storage", (event) => {
  if (!event.key?.startsWith("sumbi.chat")) return;
  const own = new Map(conversations.get().map((c) => [c.id, c]));
  const answering = (id: string): boolean => own.has(id) && isBusy(own.get(id)!);
  conversations.set(loadAll().map((c) => (answering(c.id) ? own.get(c.id)! : c)));
});

export const findChat = (id: string | null): Conversation | undefined => conversations.get().find((c) => c.id === id);

/** Changes a chat, and keeps the change unless told not to yet. */
export function update(id: string, change: (c: Conversation) => Conversation, persist = true): void {
  conversations.set((all) => all.map((c) => (c.id === id ? change(c) : c)));
  const changed = findChat(id);
  if (persist && changed) save(changed);
}

/** Says that a chat was used now: it goes to the top of the list. */
export function touch(id: string): void {
  conversations.set((all) =>
    all.map((c) => (c.id === id ? { ...c, updatedAt: Date.now() } : c)).sort((a, b) => b.updatedAt - a.updatedAt),
  );
  const touched = findChat(id);
  if (touched) save(touched);
}

/** Begins a chat, and goes to its address. */
export function begin(question: string, settings: Settings): Conversation {
  const now = Date.now();
  const title = question.trim().replace(/\s+/g, " ").slice(0, 60);
  const made: Conversation = {
    form: 2,
    id: newId(),
    title,
    createdAt: now,
    updatedAt: now,
    turns: [],
    picked: {},
    settings,
  };
  conversations.set((all) => [made, ...all]);
  go(addressOf(made.id));
  return made;
}

export function rename(id: string, title: string): void {
  if (title.trim()) update(id, (c) => ({ ...c, title: title.trim().slice(0, 80) }));
}

/** Deletes a chat; `undelete` brings it back, until another is deleted or the page closes. */
export function remove(id: string): void {
  const gone = findChat(id);
  if (!gone) return;
  conversations.set((all) => all.filter((c) => c.id !== id));
  writeStored(one(id), undefined);
  saveList();
  deleted.set(gone);
  if (currentId.get() === id) go("/", true);
}

export function undelete(): void {
  // what was being answered was stopped
  const back = readConversation(deleted.get());
  deleted.set(null);
  if (!back) return;
  add([back]);
  go(addressOf(back.id));
}

/** Adds chats, the newest of all first. One whose id is taken gets another, unless it is here already, unchanged. Returns those that are new. */
export function add(chats: readonly Conversation[]): Conversation[] {
  const here = new Map(conversations.get().map((c) => [c.id, c]));
  const fresh = chats
    .filter(({ id, updatedAt }) => here.get(id)?.updatedAt !== updatedAt)
    .map((c) => (here.has(c.id) ? { ...c, id: newId() } : c));
  conversations.set((all) => [...fresh, ...all].sort((a, b) => b.updatedAt - a.updatedAt));
  for (const c of fresh) save(c);
  return fresh;
}
