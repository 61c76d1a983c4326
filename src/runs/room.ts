/** Whether what a run will write fits on the disk. */
import { readdir, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { freeBytes } from "../checkpoint/index.ts";
import { DiskError } from "../errors.ts";
import { bytes } from "../format.ts";
import { listParameters } from "../model/index.ts";
import { sizeOf } from "../tensor/index.ts";
import { phasesOf, type Recipe } from "../train/index.ts";
import { exportBytes } from "./export.ts";

/** Some bytes to be written below a folder. `what` says for people what they are: "3 states of 66 MB". */
export interface Need {
  dir: string;
  bytes: number;
  what: string;
}

/** The disk of a folder that need not be there yet, as a number. */
async function deviceOf(path: string): Promise<number> {
  for (let at = path; ; at = dirname(at)) {
    const found = await stat(at).catch(() => undefined);
    if (found !== undefined) return found.dev;
    if (at === dirname(at)) return 0;
  }
}

/** Throws DiskError with all figures when a disk has less room than will be needed on it. */
export async function checkRoom(needs: readonly Need[]): Promise<void> {
  const disks = new Map<number, Need[]>();
  for (const need of needs) {
    const disk = await deviceOf(need.dir);
    disks.set(disk, [...(disks.get(disk) ?? []), need]);
  }
  for (const list of disks.values()) {
    const total = list.reduce((sum, need) => sum + need.bytes, 0);
    const dir = list[0]?.dir ?? "";
    const free = await freeBytes(dir).catch(() => Infinity);
    if (total <= free) continue;
    const parts = list.filter((need) => need.bytes > 0).map((need) => `${need.what} (${bytes(need.bytes)})`);
    throw new DiskError(
      `train: expected about ${bytes(total)} of free disk for ${parts.join(", ")}, but ${dir} has ${bytes(free)}. ` +
        "Free some, keep fewer states (--set save.keep=1), or choose another disk with --runs and --out",
    );
  }
}

/** How many states a run has on disk already. */
export async function statesIn(runDir: string): Promise<number> {
  return (await readdir(join(runDir, "state")).catch(() => [] as string[])).filter((name) => /^step-\d+$/.test(name))
    .length;
}

/** What a run will write: one state more than it keeps, the model beside the run and at its place. */
export async function needsOf(
  recipe: Recipe,
  base: Record<string, unknown>,
  runsDir: string,
  earlierId: string | undefined,
  out: string,
): Promise<Need[]> {
  const { config } = phasesOf(recipe, base).at(-1)!;
  let stateBytes = 0;
  for (const { shape, sameAs } of listParameters(config)) if (!sameAs) stateBytes += 12 * sizeOf(shape);
  const states = Math.max(
    1,
    recipe.save.keep + 1 - (earlierId === undefined ? 0 : await statesIn(join(runsDir, earlierId))),
  );
  const model = exportBytes(config);
  return [
    {
      dir: runsDir,
      bytes: states * stateBytes,
      what: `${states} state${states === 1 ? "" : "s"} of ${bytes(stateBytes)}`,
    },
    { dir: runsDir, bytes: model, what: "the model beside its run" },
    { dir: out, bytes: model, what: "the model at its place" },
  ];
}
