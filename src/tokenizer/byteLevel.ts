/** The byte-level alphabet of GPT-2. */

/**
 * The byte-level alphabet of GPT-2: every byte has one printable character, so that a vocabulary of strings
 * can hold any bytes. Printable Latin-1 stands for itself, the other 68 bytes for U+0100 and up.
 */
export const BYTE_CHARS: readonly string[] = (() => {
  const chars: string[] = new Array(256);
  let next = 0x100;
  for (let byte = 0; byte < 256; byte++) {
    const printable = (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
    chars[byte] = String.fromCharCode(printable ? byte : next++);
  }
  return chars;
})();

/** Char code -> byte, -1 where the character stands for no byte. */
const CHAR_BYTES: Int16Array = (() => {
  const bytes = new Int16Array(0x100 + 68).fill(-1);
  BYTE_CHARS.forEach((char, byte) => (bytes[char.charCodeAt(0)] = byte));
  return bytes;
})();

/** The bytes a vocabulary string stands for, or undefined if a character in it is not of the byte alphabet. */
export function bytesOfToken(token: string): Uint8Array | undefined {
  const bytes = new Uint8Array(token.length);
  for (let i = 0; i < token.length; i++) {
    const code = token.charCodeAt(i);
    const byte = code < CHAR_BYTES.length ? CHAR_BYTES[code] : -1;
    if (byte! < 0) return undefined;
    bytes[i] = byte!;
  }
  return bytes;
}
