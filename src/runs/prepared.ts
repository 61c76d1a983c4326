/** A run before its first step: what it is asked for with, and all that it has when it can begin. */
import type { ParameterStore, Phase, Recipe, StateStorage, TokenSource } from "../train/index.ts";
import type { Note } from "./describe.ts";
import type { Out } from "./out.ts";
import type { RunWriter } from "./writer.ts";

export interface TrainOptions {
  data?: string[];
  out?: string;
  /** Whether a model that Sumbi put into `out` may be replaced. */
  overwrite?: boolean;
  set?: string[];
  runs: string;
  /** true: the newest run of this recipe; a text: that run. */
  resume?: boolean | string;
  /** Of a resumed run: the state of this step instead of the newest. */
  resumeFrom?: number;
}

/** A run with everything decided and prepared, ready to train. */
export interface PreparedRun {
  recipe: Recipe;
  phases: Phase[];
  modelJson: Record<string, unknown>;
  store: ParameterStore;
  writer: RunWriter;
  storage: StateStorage;
  source: TokenSource;
  tokenizerDir: string;
  out: Out;
  resumed: boolean;
  /** What is to be said before the first step. */
  notes: Note[];
  /** Seconds that earlier sessions took. */
  earlierSeconds: number;
}
