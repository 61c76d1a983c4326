/** Sampling, thinking, model and system prompt: of new chats, kept in the browser, and of each chat. */
import { createStore, readStored, useStore, writeStored } from "../store.ts";
import { conversations, currentId, findChat, update } from "./chats.ts";
import { readSettings } from "./kept.ts";
import type { Conversation, Settings } from "./types.ts";

/** What new chats begin with. */
export const settings = createStore<Settings>(readSettings(readStored("sumbi.settings")));
settings.subscribe(() => writeStored("sumbi.settings", settings.get()));

export const settingsOf = (chat: Conversation | undefined): Settings => chat?.settings ?? settings.get();

/** Changes the settings of the chat on show, or of new chats where none is. */
export function changeSettings(change: Partial<Settings>): void {
  const chat = findChat(currentId.get());
  if (chat) update(chat.id, (c) => ({ ...c, settings: { ...settingsOf(c), ...change } }));
  else settings.set((old) => ({ ...old, ...change }));
}

/** The settings of the chat on show, or of new chats where none is. */
export function useSettings(): Settings {
  const all = useStore(conversations);
  const id = useStore(currentId);
  const ofNew = useStore(settings);
  return all.find((c) => c.id === id)?.settings ?? ofNew;
}
