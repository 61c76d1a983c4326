/** Whether this processor's kernels give a row other bits alone than among others, where weights are in blocks: found out by trying. */
import { BLOCK, blocksOf, codeBytes, toBlocks } from "../model/index.ts";
import { compile } from "../runtime/index.ts";
import { blockMatmul, f32, type HostTensor, input, toOnnx } from "../tensor/index.ts";

const known = new Map<4 | 8, Promise<boolean>>();

/** Tries a product of blocks of so many bits with one row and with two; once in a process. */
export function loneRowDiffers(bits: 4 | 8): Promise<boolean> {
  let found = known.get(bits);
  if (found === undefined) known.set(bits, (found = tried(bits)));
  return found;
}

/** Sizes that fill no tile of a kernel evenly. */
const [N, K] = [200, 5 * BLOCK];

async function tried(bits: 4 | 8): Promise<boolean> {
  const numbers = (count: number) => Float32Array.from({ length: count }, (_, i) => Math.sin(1 + 12.9898 * i));
  const weight = toBlocks(f32([N, K], numbers(N * K)), bits);
  const shape = [N, blocksOf(weight)];
  const codes: HostTensor = { dtype: "u8", shape: [...shape, codeBytes(weight)], data: weight.codes };
  const constants: Record<string, HostTensor> = { codes, scales: f32(shape, weight.scales) };
  const out = blockMatmul(
    input("x", "f32", ["M", K]),
    input("codes", "u8", codes.shape),
    input("scales", "f32", shape),
    { bits, block: BLOCK, inner: K, rounded: true },
  );
  const executable = await compile(toOnnx({ out }, { external: (name) => name in constants }).bytes, {
    name: "lone row",
    constants,
  });
  try {
    const rows = numbers(2 * K);
    const of = (count: number) => executable.runSync({ x: f32([count, K], rows.slice(0, count * K)) }).out?.data ?? [];
    const [alone, among] = [of(1), of(2)];
    for (let n = 0; n < N; n++) if (alone[n] !== among[n]) return true;
    return false;
  } finally {
    executable.dispose();
  }
}
