/** Files that are still being downloaded: each belongs to one process, and to the next one when that is gone. */
import { readdirSync } from "node:fs";
import { rename, stat } from "node:fs/promises";
import { join } from "node:path";
import { here, isAlive } from "../checkpoint/index.ts";

const OF = /^([0-9a-f]{40,64})\.sumbi-([0-9a-f]{8})-(\d{1,10})\.incomplete$/;

/**
 * Takes what another process of this machine has left of a blob, if there is such, and gives the path to go on at and its bytes. Renaming is what decides between two that
 * want it.
 */
export async function claimPartial(blobs: string, etag: string): Promise<{ path: string; bytes: number }> {
  const path = join(blobs, `${etag}.sumbi-${here}-${process.pid}.incomplete`);
  for (const name of readdirSync(blobs)) {
    const [, of, where, pid] = OF.exec(name) ?? [];
    if (of !== etag || where !== here || isAlive(Number(pid))) continue;
    const taken = await rename(join(blobs, name), path).then(
      () => true,
      () => false,
    );
    if (taken) break;
  }
  const bytes = await stat(path).then(
    ({ size }) => size,
    () => 0,
  );
  return { path, bytes };
}
