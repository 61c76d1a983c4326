/** How large bytes may be in this machine's 8-bit products, found by trying. */
import { compile } from "../runtime/index.ts";
import * as t from "../tensor/index.ts";

/** Right operands' largest byte, and what is left of it where sums of two products must fit 16 bits: 255 · 63 · 2 < 2¹⁵. */
export const WHOLE = 127;
const REDUCED = 63;

let known: Promise<number> | undefined;

/**
 * The largest byte that this machine may have in right operands. x86 without VNNI adds pairs of products in 16 bits, which saturate:
 * a seventh bit has to go there. Found by multiplying the largest bytes.
 */
export function byteRange(): Promise<number> {
  return (known ??= probe());
}

async function probe(): Promise<number> {
  const [rows, inner, columns] = [16, 64, 32];
  const product = t.byteMatmul(t.input("a", "u8", [rows, inner]), t.input("b", "i8", [inner, columns]), t.scalar(1));
  const executable = await compile(t.toOnnx({ product }, { name: "byte range" }).bytes, {
    name: "byte range",
    threads: 1,
  });
  try {
    const a: t.HostTensor = { dtype: "u8", shape: [rows, inner], data: new Uint8Array(rows * inner).fill(255) };
    const b: t.HostTensor = { dtype: "i8", shape: [inner, columns], data: new Int8Array(inner * columns).fill(WHOLE) };
    const { product: found } = await executable.run({ a, b });
    return (found!.data as Float32Array).every((value) => value === 127 * WHOLE * inner) ? WHOLE : REDUCED;
  } finally {
    executable.dispose();
  }
}
