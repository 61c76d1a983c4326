/** Stages one after the other as one command: where each puts what it makes, what is done, which runs they are. */
import { existsSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { join, resolve } from "node:path";
import { z } from "zod";
import { atomicFile, isAdapter, readRegularText, resolveModel } from "../checkpoint/index.ts";
import { CheckpointError } from "../errors.ts";
import { parseJson } from "../json.ts";
import { validate } from "../validate.ts";

/** What a chain is. */
export interface ChainAbout<S extends string> {
  /** As in `sumbi reason KIND`: the folder is `OUT.KIND`. */
  kind: string;
  /** In their order; the last one's model is the chain's. */
  stages: readonly S[];
  /** Those that make a data set instead of a model. */
  data: readonly S[];
  /** Where the model goes. */
  out: string;
  overwrite?: boolean;
  /** The model to begin with. */
  model: string;
  /** What it is besides, plain JSON: whoever goes on must mean the same. */
  told: Readonly<Record<string, unknown>>;
}

/** A chain's folder. It keeps no state but the plan and the stages' run ids: what is done is told by what stands in its place. */
export class Chain<S extends string> {
  private constructor(
    private readonly about: ChainAbout<S>,
    private readonly dir: string,
    private readonly runIds: Partial<Record<S, string>>,
  ) {}

  /** Throws CheckpointError for a folder of another chain, and for a place that is taken. */
  static async open<S extends string>(about: ChainAbout<S>): Promise<Chain<S>> {
    const { kind, stages, out, overwrite, told } = about;
    const dir = `${resolve(out)}.${kind}`;
    const model = resolve(resolveModel(about.model));
    const text = `${JSON.stringify({ kind: `sumbi reason ${kind}`, model, ...told }, null, 2)}\n`;
    const path = join(dir, "plan.json");
    const found = readRegularText(path, 1 << 20);
    if (found === undefined) {
      if (existsSync(dir))
        throw new CheckpointError(
          `${dir}: expected a chain's folder or none, found one without plan.json; choose another --out`,
        );
      if (existsSync(out) && !overwrite)
        throw new CheckpointError(
          `--out ${out}: expected a new folder, found one that is there; choose another, or --overwrite`,
        );
      await mkdir(dir, { recursive: true });
      await atomicFile(path, text);
    } else if (found !== text)
      throw new CheckpointError(
        `${path}: this chain was begun with another model, task or values; give those to go on with it, or choose another --out`,
      );
    const ids = readRegularText(join(dir, "runs.json"), 1 << 16);
    const schema = z.partialRecord(z.enum(stages), z.string());
    const runIds =
      ids === undefined
        ? {}
        : validate(schema, parseJson(ids), join(dir, "runs.json"), (message) => new CheckpointError(message));
    return new Chain(about, dir, runIds as Partial<Record<S, string>>);
  }

  /** What a stage makes: a model, or a data set. */
  place(stage: S): string {
    const { stages, data, out } = this.about;
    if (stage === stages.at(-1)) return resolve(out);
    return join(this.dir, `${stages.indexOf(stage) + 1}-${stage}${data.includes(stage) ? ".jsonl" : ""}`);
  }

  /** Models and data sets appear whole or not at all. */
  isDone(stage: S): boolean {
    const place = this.place(stage);
    if (this.about.data.includes(stage)) return existsSync(place);
    return this.runIds[stage] !== undefined && (existsSync(join(place, "config.json")) || isAdapter(place));
  }

  done(): S[] {
    return this.about.stages.filter((stage) => this.isDone(stage));
  }

  runOf(stage: S): string | undefined {
    return this.runIds[stage];
  }

  /** Keeps which run a stage is. */
  async keepRun(stage: S, id: string): Promise<void> {
    this.runIds[stage] = id;
    await atomicFile(join(this.dir, "runs.json"), `${JSON.stringify(this.runIds, null, 2)}\n`);
  }
}
