// One input: a pure function of the seed, the loader and its number.
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { SumbiError } from "../../src/errors.ts";
import type { Loader } from "./loaders.ts";
import { mutate } from "./mutate.ts";
import { randomOf } from "./random.ts";
import type { Seed } from "./seeds.ts";

export type Outcome =
  | { kind: "loaded" | "refused"; message: string }
  | { kind: "fault"; message: string; stack: string };

const seeds = new Map<string, Promise<Seed[]>>();
const seedsOf = (loader: Loader): Promise<Seed[]> => {
  const known = seeds.get(loader.name) ?? Promise.resolve(loader.seeds());
  seeds.set(loader.name, known);
  return known;
};

/** Numbers below 0 are the valid files as they are: −1 the first, −2 the second, … */
export async function writeInput(loader: Loader, seed: string, number: number, dir: string): Promise<void> {
  const all = await seedsOf(loader);
  const random = randomOf(`${seed} ${loader.name} ${number}`);
  const chosen = number < 0 ? (all[-number - 1] as Seed) : random.pick(all);
  const files = { ...chosen.files };
  if (number >= 0)
    for (let times = random.oneIn(4) ? 2 : 1; times > 0; times--) {
      const [path, kind] = random.pick(chosen.changed);
      // What was changed once may be no JSON any more.
      try {
        files[path] = mutate(files[path] as Uint8Array, kind, random);
      } catch {
        files[path] = mutate(files[path] as Uint8Array, "bytes", random);
      }
    }
  rmSync(dir, { recursive: true, force: true });
  for (const [path, bytes] of Object.entries(files)) {
    mkdirSync(dirname(join(dir, path)), { recursive: true });
    writeFileSync(join(dir, path), bytes);
  }
}

export const validInputs = async (loader: Loader): Promise<number> => (await seedsOf(loader)).length;

/** Takes an input in: a refusal is a SumbiError, everything else that is thrown a fault. */
export async function take(loader: Loader, dir: string): Promise<Outcome> {
  try {
    await loader.load(dir);
    return { kind: "loaded", message: "" };
  } catch (error) {
    if (error instanceof SumbiError) return { kind: "refused", message: error.message };
    return {
      kind: "fault",
      message: String(error),
      stack:
        error instanceof Error
          ? `${error.stack ?? ""}${error.cause instanceof Error ? `\ncause: ${error.cause.stack ?? error.cause.message}` : ""}`
          : "",
    };
  }
}
