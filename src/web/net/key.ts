/** The API key that a server may ask for: kept as long as this tab, sent with every request. */
import { createStore } from "../store.ts";

const STORED = "sumbi.key";

/** Whether the reader is asked for a key: at first, again after a wrong one, or no more after saying no. */
export type Asking = "no" | "first" | "again" | "declined";
export const asking = createStore<Asking>("no");
/** Grows with each key that is entered; what was shown without it begins anew. */
export const keyNumber = createStore(0);

let key = readKey();

function readKey(): string {
  try {
    return sessionStorage.getItem(STORED) ?? "";
  } catch {
    return "";
  }
}

/** A request's headers with the key, if there is one. */
export function withKey(headers: HeadersInit = {}): Headers {
  const all = new Headers(headers);
  if (key !== "") all.set("authorization", `Bearer ${key}`);
  return all;
}

/** The server refused a request with these headers for want of a key, or for a wrong one. One that was sent before the present key says nothing of it. */
export function keyRefused(sent: Headers): void {
  if (sent.get("authorization") !== withKey().get("authorization")) return;
  if (asking.get() === "no") asking.set(key === "" ? "first" : "again");
}

/** Asks the reader, who may have said no before. */
export function askForKey(): void {
  asking.set(key === "" ? "first" : "again");
}

/** Takes a key. False for one that no request could carry. */
export function enterKey(text: string): boolean {
  if (!/^[\x21-\x7e]+$/.test(text)) return false;
  key = text;
  try {
    sessionStorage.setItem(STORED, text);
  } catch {
    // forbidden storage: the key lives as long as the page
  }
  asking.set("no");
  keyNumber.set((n) => n + 1);
  return true;
}
