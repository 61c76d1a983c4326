/** Tokens decoded one after the other, half characters kept back. */

/** What a stream needs of a tokenizer: the bytes of one id, or undefined when the id shows nothing. */
export type BytesOf = (id: number) => Uint8Array | undefined;

/**
 * Ids in, text out as soon as it is whole: `push` holds back the first bytes of a character until the rest has come,
 * and `flush` gives what is left, broken bytes as U+FFFD. All pushes and the flush together equal `decode` of all ids.
 */
export class DecodeStream {
  private readonly decoder = new TextDecoder("utf-8", { ignoreBOM: true });

  constructor(private readonly bytesOf: BytesOf) {}

  push(id: number): string {
    const bytes = this.bytesOf(id);
    return bytes === undefined ? "" : this.decoder.decode(bytes, { stream: true });
  }

  flush(): string {
    return this.decoder.decode();
  }
}
