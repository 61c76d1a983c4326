/** Answers: found in a reply, and compared by value. */
export { answerPart, finalAnswer } from "./final.ts";
export { sameAnswer } from "./same.ts";
