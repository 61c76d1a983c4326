/** Keys with a meaning of their own in text fields. */

/**
 * Whether a key means "send": Enter without Shift, and not Enter that ends a word in an input method. Safari says of that one neither
 * `isComposing` nor `key`: it comes after the composition, as keyCode 229.
 */
export const isSend = (event: KeyboardEvent): boolean =>
  event.key === "Enter" && !event.shiftKey && !event.isComposing && event.keyCode !== 229;
