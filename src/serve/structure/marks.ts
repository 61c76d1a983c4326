/** Tokens of markup in grammars: each is read as one character that no JSON has as it stands. */

/** By a mark's place in its list. */
export const STAND_INS = "\x01\x02\x03\x04\x05\x06\x07\x08";
