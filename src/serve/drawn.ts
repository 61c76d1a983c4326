/** Which of an answer's ids are the answer itself, after its thought. */

/** Follows ids and the characters of text that each of them brought. */
export class DrawnText {
  readonly #drawn: { id: number; chars: number }[] = [];
  /** Where the answer begins among them; −1: in the midst of one. */
  #from: number | undefined;

  push(id: number, chars: number): void {
    this.#drawn.push({ id, chars });
  }

  /** So many characters, the last of those that have come, were the answer's. */
  see(chars: number): void {
    if (this.#from !== undefined || chars === 0) return;
    let left = chars;
    let from = this.#drawn.length;
    while (left > 0 && from > 0) left -= this.#drawn[--from]?.chars ?? 0;
    // before a character's last byte stand the others
    while (from > 0 && this.#drawn[from - 1]?.chars === 0) from--;
    this.#from = left === 0 ? from : -1;
  }

  /** undefined: the answer begins within an id, or not at all. */
  get ids(): readonly number[] | undefined {
    if (this.#from === undefined || this.#from < 0) return undefined;
    return this.#drawn.slice(this.#from).map(({ id }) => id);
  }
}
