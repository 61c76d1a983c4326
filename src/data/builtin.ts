/** The corpora that come with Sumbi: two public-domain works kept in `data/`, and texts made from a seed. */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { brotliDecompressSync } from "node:zlib";
import { conversationDocument } from "./conversations.ts";
import { hashText } from "./random.ts";
import { arithmeticDocument, type ChatDocument, smalltalkDocument } from "./smalltalk.ts";

/** A corpus that comes with Sumbi. */
interface Builtin {
  /** Documents when no number is given. */
  documents: number;
  /** About; for progress and for dividing the work. */
  bytesPerDocument: number;
  /** Document `index`; a generated corpus makes others for "heldout", a fixed one has one list and ignores the split. */
  document(index: number, split: "train" | "heldout"): { text: string } | ChatDocument;
  /** Documents are made for each split (true) or divided by hash like files (false). */
  generated: boolean;
}

let english: string[] | undefined;

const textsOf = (name: string): string[] =>
  JSON.parse(
    brotliDecompressSync(readFileSync(new URL(`../../data/${name}.json.br`, import.meta.url))).toString(),
  ) as string[];

/** Moby-Dick by chapter and the State of the Union addresses 1790 to 2021, mixed by their hash (data/README.md). */
function englishTexts(): string[] {
  return (english ??= [...textsOf("moby-dick"), ...textsOf("state-of-the-union")].sort(
    (a, b) => hashText(a) - hashText(b),
  ));
}

/** Seeds of the generated corpora: part of what they are. */
const ARITHMETIC_SEED = 1;
const SMALLTALK_SEED = 2;
const CONVERSATIONS_SEED = 3;

export const BUILTINS = {
  english: {
    documents: 372,
    bytesPerDocument: 32_200,
    generated: false,
    document: (index) => ({ text: englishTexts()[index]! }),
  },
  arithmetic: {
    documents: 200_000,
    bytesPerDocument: 170,
    generated: true,
    document: (index, split) => arithmeticDocument(ARITHMETIC_SEED, index, split),
  },
  smalltalk: {
    documents: 20_000,
    bytesPerDocument: 130,
    generated: true,
    document: (index, split) => smalltalkDocument(SMALLTALK_SEED, index, split),
  },
  conversations: {
    documents: 10_000,
    bytesPerDocument: 1_250,
    generated: true,
    document: (index, split) => conversationDocument(CONVERSATIONS_SEED, index, split),
  },
} satisfies Record<string, Builtin>;

export type BuiltinName = keyof typeof BUILTINS;

/** How many documents `builtin:name` or `builtin:name:asked` has; a fixed corpus has no more than it has. */
export function builtinCount(name: BuiltinName, asked: number | undefined): number {
  const builtin: Builtin = BUILTINS[name];
  if (asked === undefined) return builtin.documents;
  return builtin.generated ? asked : Math.min(asked, builtin.documents);
}

/** One in so many documents is held out by default; those of other shares are made by the same rules. */
const HELDOUT_SHARE = 0.01;
const known = new Map<string, string>();

/** SHA-256 of all that a built-in corpus of so many documents says, so that shards made of other texts are not reused. `breathe` is awaited. */
export async function builtinHash(
  name: BuiltinName,
  count: number,
  breathe: () => Promise<void> | undefined = () => undefined,
): Promise<string> {
  const key = `${name}:${count}`;
  let found = known.get(key);
  if (found === undefined) {
    const builtin: Builtin = BUILTINS[name];
    const hash = createHash("sha256");
    for (const split of ["train", "heldout"] as const) {
      const documents = split === "train" ? count : builtin.generated ? Math.ceil(count * HELDOUT_SHARE) : 0;
      for (let i = 0; i < documents; i++) {
        hash.update(`${JSON.stringify(builtin.document(i, split))}\n`);
        await breathe();
      }
    }
    known.set(key, (found = hash.digest("hex")));
  }
  return found;
}
