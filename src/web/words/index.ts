/** The pages' words in the reader's language. */
import { en, type Words } from "./en.tsx";

/** The words to use. Read them when drawing, not when a module is loaded. */
export const words: Words = en;
