/** Memory shared with the system: files mapped read-only, freed memory given back. */
import { closeSync, fstatSync, openSync } from "node:fs";
import koffi from "koffi";
import { ort } from "./ort.ts";

/** A file's bytes as they lie. Writing to them ends the process. */
export interface MappedFile {
  bytes: Uint8Array;
  /** Lets go of the memory that reading took; whoever reads on gets the bytes again. */
  drop(): void;
}

const PROT_READ = 1;
const MAP_SHARED = 1;
const MAP_FAILED = 2n ** 64n - 1n;
const MADV_DONTNEED = 4; // the same on Linux and macOS

type Native = (...args: unknown[]) => unknown;
let functions: { mmap: Native; munmap: Native; madvise: Native } | undefined;

function libc(): NonNullable<typeof functions> {
  if (functions) return functions;
  ort(); // koffi takes settings before the first library only
  const own = koffi.load(null as unknown as string); // the process itself, which holds the C library
  return (functions = {
    mmap: own.func("void *mmap(void *, size_t, int, int, int, int64_t)"),
    munmap: own.func("int munmap(void *, size_t)"),
    madvise: own.func("int madvise(void *, size_t, int)"),
  });
}

/** Gives memory that was freed back to the system where it would keep it for itself (glibc); compiling graphs leaves a tenth of them behind. */
export function trimMemory(): void {
  if (process.platform !== "linux") return;
  ort();
  try {
    koffi.load(null as unknown as string).func("int malloc_trim(size_t)")(0);
  } catch {
    // another C library, which has no such function
  }
}

const collected = new FinalizationRegistry<{ at: bigint; size: number }>(({ at, size }) => libc().munmap(at, size));

/** Maps a file; undefined where the system has no such thing (Windows) or refuses. Unmapped when nothing refers to its bytes any more. */
export function mapFile(path: string): MappedFile | undefined {
  if (process.platform === "win32") return undefined;
  const file = openSync(path, "r");
  try {
    const { size } = fstatSync(file);
    if (size === 0) return undefined;
    const at = libc().mmap(null, size, PROT_READ, MAP_SHARED, file, 0) as bigint;
    if (at === MAP_FAILED) return undefined;
    const buffer = koffi.view(at, size) as ArrayBuffer;
    collected.register(buffer, { at, size });
    return { bytes: new Uint8Array(buffer), drop: () => void libc().madvise(at, size, MADV_DONTNEED) };
  } finally {
    closeSync(file);
  }
}
