/** The pages' words in the reader's language. */
import { en, type Words } from "./en.tsx";

/** The words to use. Read them when drawing, not when a module is loaded. */
export let words: Words = en;

/** Which of our languages a reader is served in: the first of theirs that is one of ours; English where none is. */
export const languageOf = (theirs: readonly string[]): "en" | "ko" =>
  theirs.map((tag) => tag.toLowerCase().split("-")[0]).find((tag) => tag === "en" || tag === "ko") ?? "en";

/** Takes the words of the browser's language. To be awaited before anything is drawn. */
export async function chooseWords(): Promise<void> {
  if (languageOf(navigator.languages) === "ko") words = (await import("./ko.tsx")).ko;
  document.documentElement.lang = words.code;
}
