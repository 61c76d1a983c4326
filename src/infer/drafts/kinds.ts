/** Where guesses may come from, as a person asks for it. */

export const DRAFTS = ["auto", "mtp", "lookup", "off"] as const;

/**
 * mtp: from the model's own module for multi-token prediction. lookup: what followed the same tokens earlier in the sequence. auto: from whatever there is. All as
 * long as that pays.
 */
export type DraftsKind = (typeof DRAFTS)[number];

export const asksModule = (kind: DraftsKind): boolean => kind === "auto" || kind === "mtp";
export const asksLookup = (kind: DraftsKind): boolean => kind === "auto" || kind === "lookup";
