/** Conversations to fine-tune on, made from a seed that pretraining has not used: npx tsx scripts/speedrun/chats.ts FILE COUNT. */
import { writeFileSync } from "node:fs";
import { arithmeticDocument, conversationDocument, smalltalkDocument } from "../../src/data/index.ts";

const SEED = 4711;
const [file, count] = process.argv.slice(2);
if (file === undefined || !(Number(count) > 0)) throw new Error("expected a file to write and how many conversations");
// two problems and one of small talk to every long conversation
const made = [arithmeticDocument, arithmeticDocument, smalltalkDocument, conversationDocument];
const lines = Array.from({ length: Number(count) }, (_, i) => JSON.stringify(made[i % made.length]!(SEED, i)));
writeFileSync(file, `${lines.join("\n")}\n`);
