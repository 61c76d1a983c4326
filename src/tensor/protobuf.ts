/** A writer of protocol buffers, as much as ONNX needs. */

/** A protocol-buffers writer: just the wire types that ONNX uses. */
export class ProtoWriter {
  #chunks: Uint8Array[] = [];
  #buffer = new Uint8Array(256);
  #used = 0;

  #reserve(bytes: number): void {
    if (this.#used + bytes <= this.#buffer.length) return;
    this.#chunks.push(this.#buffer.subarray(0, this.#used));
    this.#buffer = new Uint8Array(Math.max(256, bytes, this.#buffer.length * 2));
    this.#used = 0;
  }

  #varint(value: number | bigint): void {
    this.#reserve(10);
    let v = BigInt.asUintN(64, BigInt(value));
    while (v > 127n) {
      this.#buffer[this.#used++] = Number(v & 127n) | 128;
      v >>= 7n;
    }
    this.#buffer[this.#used++] = Number(v);
  }

  #small(value: number): void {
    this.#reserve(5);
    while (value > 127) {
      this.#buffer[this.#used++] = (value & 127) | 128;
      value = Math.floor(value / 128);
    }
    this.#buffer[this.#used++] = value;
  }

  int(field: number, value: number | bigint): this {
    this.#small(field * 8);
    this.#varint(value);
    return this;
  }

  float(field: number, value: number): this {
    this.#small(field * 8 + 5);
    this.#reserve(4);
    new DataView(this.#buffer.buffer, this.#buffer.byteOffset + this.#used).setFloat32(0, value, true);
    this.#used += 4;
    return this;
  }

  bytes(field: number, value: Uint8Array): this {
    this.#small(field * 8 + 2);
    this.#small(value.length);
    if (value.length > 4096) {
      this.#chunks.push(this.#buffer.subarray(0, this.#used), value);
      this.#buffer = new Uint8Array(256);
      this.#used = 0;
    } else {
      this.#reserve(value.length);
      this.#buffer.set(value, this.#used);
      this.#used += value.length;
    }
    return this;
  }

  string(field: number, value: string): this {
    return this.bytes(field, new TextEncoder().encode(value));
  }

  message(field: number, value: ProtoWriter): this {
    return this.bytes(field, value.finish());
  }

  finish(): Uint8Array {
    const chunks = [...this.#chunks, this.#buffer.subarray(0, this.#used)];
    if (chunks.length === 1) return chunks[0]!;
    const out = new Uint8Array(chunks.reduce((n, c) => n + c.length, 0));
    let at = 0;
    for (const chunk of chunks) {
      out.set(chunk, at);
      at += chunk.length;
    }
    return out;
  }
}
