/** A question that the planner refuses, with what of it is at fault. */
import { ConfigError } from "../errors.ts";
import type { Layout, PlanQuestion } from "./types.ts";

/** A part of a question, or of the layout in it. */
export type Asked = keyof PlanQuestion | keyof Layout;

/** Thrown for a question that has no answer. `about`: what in it would have to change, the likeliest first; a page marks that. */
export class RefusedError extends ConfigError {
  constructor(
    message: string,
    readonly about: readonly Asked[],
  ) {
    super(message);
  }
}
