/** What an engine says of guesses at what sequences say next. */

/** How they fared. */
export interface DraftStatistics {
  /** Passes that checked guesses, and those of the same numbers of sequences that did not. */
  checks: number;
  steps: number;
  /** Tokens that were guessed, and those of them that were drawn. */
  guessed: number;
  accepted: number;
  /** Seconds that steps would have taken, by those that were measured, for each that was spent since there are measurements; 1 without any. */
  gain: number;
}
