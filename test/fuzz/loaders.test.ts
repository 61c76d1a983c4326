import { describe, expect, it } from "vitest";
import { fuzz, type Job, type Tally } from "./harness.ts";
import { LOADERS } from "./loaders.ts";

// Whatever a file, a folder or a request holds, it is taken in or refused by a SumbiError: no crash, no other error, no hang, no gigabyte. A few hundred
// inputs here, 20,000 with `npm run test:full`; SUMBI_FUZZ=N takes N, SUMBI_FUZZ_SEED=… others, SUMBI_FUZZ_ONLY=config,plan only those.
const FULL = process.env.SUMBI_TEST === "full";
const COUNT = Number(process.env.SUMBI_FUZZ ?? (FULL ? 20_000 : 120));
const SEED = process.env.SUMBI_FUZZ_SEED ?? "1";
const ONLY = process.env.SUMBI_FUZZ_ONLY?.split(",");
const chosen = LOADERS.filter(({ name }) => !ONLY || ONLY.includes(name));
const shares = chosen.reduce((sum, { share }) => sum + share, 0);

/** Every loader's valid files first, then its part of the inputs. */
async function jobs(): Promise<Job[]> {
  const all: Job[] = [];
  for (const { name, share, seeds } of chosen) {
    const valid = (await seeds()).length;
    // The slow ones show every valid file only when there is time.
    for (let n = 1; n <= (FULL ? valid : Math.min(valid, 2)); n++) all.push({ loader: name, number: -n });
    for (let n = 0; n < Math.ceil((COUNT * share) / shares); n++) all.push({ loader: name, number: n });
  }
  return all;
}

describe("what others wrote", () => {
  let tallies = new Map<string, Tally>();
  it(
    "is taken in",
    async () => {
      tallies = await fuzz(await jobs(), { seed: SEED, onProgress: (text) => process.stderr.write(`${text}\n`) });
      const rows = [...tallies].map(
        ([loader, { loaded, refused, faults, slowestMs, slowest, allMs, largestBytes }]) =>
          `${loader.padEnd(10)} ${String(loaded).padStart(6)} taken in ${String(refused).padStart(6)} refused ${String(faults.length).padStart(4)} faults, ${Math.round(allMs / 1000)} s in all, at most ${Math.round(slowestMs)} ms (${slowest}) and ${Math.round(largestBytes / 1e6)} MB`,
      );
      console.log(rows.join("\n"));
    },
    6 * 3600_000,
  );

  it.each(chosen.map(({ name }) => name))("is refused by a message or taken in, but nothing else: %s", (name) => {
    const tally = tallies.get(name);
    expect(
      tally?.faults.map(
        ({ number, what, kept }) => `${name} ${number}: ${what.slice(0, 400)}${kept ? `\n  the input: ${kept}` : ""}`,
      ),
    ).toEqual([]);
  });

  // Inputs that are all refused at their first byte would try nothing, and such that are all taken in neither.
  it.each(chosen.map(({ name }) => name))("is taken in where it is right, refused where it is not: %s", (name) => {
    const tally = tallies.get(name);
    expect(tally?.loaded).toBeGreaterThan(0);
    if (COUNT >= 1_000) expect(tally?.refused).toBeGreaterThan(0);
  });
});
