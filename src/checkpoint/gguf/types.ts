/** The element types of GGUF files, by ggml's numbers: how many numbers a block holds, and in how many bytes. */

export interface GgmlType {
  id: number;
  name: string;
  /** Numbers in a block; a row is a whole number of blocks. */
  block: number;
  /** Bytes of a block. */
  bytes: number;
}

const TYPES = {
  F32: [0, 1, 4],
  F16: [1, 1, 2],
  Q4_0: [2, 32, 18],
  Q4_1: [3, 32, 20],
  Q5_0: [6, 32, 22],
  Q5_1: [7, 32, 24],
  Q8_0: [8, 32, 34],
  Q2_K: [10, 256, 84],
  Q3_K: [11, 256, 110],
  Q4_K: [12, 256, 144],
  Q5_K: [13, 256, 176],
  Q6_K: [14, 256, 210],
  IQ4_NL: [20, 32, 18],
  IQ4_XS: [23, 256, 136],
  BF16: [30, 1, 2],
} as const satisfies Record<string, readonly [id: number, block: number, bytes: number]>;

export type GgmlTypeName = keyof typeof TYPES;

export const GGML_TYPE_NAMES = Object.keys(TYPES) as GgmlTypeName[];

/** Types that ggml has and Sumbi does not read, so that a refusal can name them. */
const UNREAD: Record<number, string> = {
  9: "Q8_1",
  15: "Q8_K",
  16: "IQ2_XXS",
  17: "IQ2_XS",
  18: "IQ3_XXS",
  19: "IQ1_S",
  21: "IQ3_S",
  22: "IQ2_S",
  24: "I8",
  25: "I16",
  26: "I32",
  27: "I64",
  28: "F64",
  29: "IQ1_M",
  34: "TQ1_0",
  35: "TQ2_0",
  39: "MXFP4",
  40: "NVFP4",
};

const BY_ID = new Map<number, GgmlType & { name: GgmlTypeName }>(
  GGML_TYPE_NAMES.map((name) => [
    TYPES[name][0],
    { id: TYPES[name][0], name, block: TYPES[name][1], bytes: TYPES[name][2] },
  ]),
);

/** The type of a number in a file; undefined for one that is not read, which `ggmlTypeName` names. */
export const ggmlTypeOf = (id: number): (GgmlType & { name: GgmlTypeName }) | undefined => BY_ID.get(id);

export const ggmlTypeName = (id: number): string => BY_ID.get(id)?.name ?? UNREAD[id] ?? `number ${id}`;

/** A type by its name. */
export function ggmlType(name: GgmlTypeName): GgmlType & { name: GgmlTypeName } {
  const [id, block, bytes] = TYPES[name];
  return { id, name, block, bytes };
}

/** ggml's kinds of tokens. */
export const TOKEN_TYPE = { normal: 1, unknown: 2, control: 3, userDefined: 4, unused: 5, byte: 6 } as const;
