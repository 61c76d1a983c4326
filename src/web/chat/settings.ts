/** Sampling and system prompt, kept in the browser. */
import { createStore, readStored, writeStored } from "../store.ts";
import type { Settings } from "./types.ts";

export const DEFAULTS: Settings = { temperature: null, topP: null, maxTokens: null, seed: null, system: "" };

export const settings = createStore<Settings>({ ...DEFAULTS, ...readStored<Partial<Settings>>("sumbi.settings") });
settings.subscribe(() => writeStored("sumbi.settings", settings.get()));
