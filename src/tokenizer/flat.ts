/** Texts with memory of their own. */

/**
 * The same text with memory of its own. Engines keep a slice as a view into the text that it was cut from: one word
 * kept would keep a whole document. Joined and cut again it is a view of itself alone.
 */
export const flat = (text: string): string => ` ${text}`.slice(1);
