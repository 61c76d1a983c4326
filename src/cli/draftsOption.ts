/** `--drafts`, as serve and chat have it, and what is said of how guesses fared. */
import { type Command, Option } from "commander";
import { DRAFTS, type DraftStatistics, type DraftsKind } from "../serve/index.ts";

export interface DraftsFlags {
  /** `off` where nothing was said. */
  drafts?: DraftsKind;
}

/** Adds the option to a verb. */
export const addDraftsOption = (command: Command): Command =>
  command.addOption(
    new Option(
      "--drafts <kind>",
      "guess tokens and check several in one pass, where that is faster. mtp: as the model's own module for multi-token prediction says; lookup: what followed the same tokens before; auto: whichever there is",
    )
      .choices(DRAFTS)
      .default("off"),
  );

/** `drafts: 120 of 150 guesses were right, 1.31 × as fast as without`; undefined where none were made. */
export function draftsInWords(drafts: DraftStatistics | undefined): string | undefined {
  if (!drafts || drafts.guessed === 0) return undefined;
  return `drafts: ${drafts.accepted} of ${drafts.guessed} guesses were right, ${drafts.gain.toFixed(2)} × as fast as without`;
}
