/** Memory that goes back to the system when told, not when the garbage collector gets to it: weights that the runtime has packed. */

/** Of ES2024, which every Node.js from 20 on has. */
interface ResizableBuffer extends ArrayBuffer {
  readonly resizable?: boolean;
  resize(bytes: number): void;
}
const Resizable = ArrayBuffer as unknown as new (bytes: number, options: { maxByteLength: number }) => ResizableBuffer;

/** Zeros that `giveBack` can free. */
export function returnable(length: number): Float32Array {
  const bytes = Math.max(4, 4 * length);
  return new Float32Array(new Resizable(bytes, { maxByteLength: bytes }), 0, length);
}

/** Frees an array that `returnable` made: it reads as empty from now on, so nothing native may still read it. Others are left as they are. */
export function giveBack({ buffer }: ArrayBufferView): void {
  const own = buffer as ResizableBuffer;
  if (own.resizable) own.resize(0);
}
