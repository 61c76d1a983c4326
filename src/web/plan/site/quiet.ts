/** A Vite plugin that keeps Rollup quiet about zod's notes. */
import type { Plugin } from "vite";

/** zod's sources carry notes to bundlers in places where Rollup cannot read them; it says so for each, to no use. */
export const quiet: Plugin = {
  name: "sumbi:quiet",
  onLog(_level, log) {
    return log.code === "INVALID_ANNOTATION" ? false : undefined;
  },
};
