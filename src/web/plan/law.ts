/** The export rules' verdict on a form's chip and place. */
import type { Chip } from "../../plan/index.ts";
import { countryName, dayBefore, LAWFUL, legality, type Verdict } from "../../plan/rules/index.ts";
import type { Form } from "./form.ts";
import type { Law } from "./messages.ts";

const WORDS: Record<Verdict, string> = {
  free: "no licence needed",
  notify: "free after a notice",
  licence: "licence needed",
  "case-by-case": "licence, case by case",
  denial: "licence, presumed denied",
  unknown: "cannot be told",
};

const placeOf = (form: Form) => ({
  date: form.on || today(),
  to: form.to,
  ...(form.seat && { headquarters: form.seat }),
});

const today = () => new Date().toISOString().slice(0, 10);

/** What the export rules say of a chip for the form's day, destination and seat; null where no destination was asked about. */
export function lawOf(chip: Chip, form: Form): Law | null {
  if (!form.to) return null;
  const place = placeOf(form);
  const answer = legality({ chip, ...place });
  const lines: Law["lines"] = [
    { name: "Rule", text: `${answer.rule.title}, as of ${answer.rule.from}`, sources: [answer.rule.source] },
    { name: "Paragraph", text: answer.eccn === "none" ? "below all lines of 3A090" : answer.eccn, sources: [] },
    ...answer.tests.map((test) => ({
      name: `Test of ${test.rule}`,
      text: `${test.says}: ${test.holds === true ? "met" : test.holds === false ? "not met" : "unknown"}`,
      sources: [test.source],
    })),
    ...(answer.review ? [{ name: "Review", text: answer.review.says, sources: [answer.review.source] }] : []),
    ...(answer.tariff ? [{ name: "Tariff", text: answer.tariff.says, sources: [answer.tariff.source] }] : []),
    ...answer.letters.map((letter) => ({
      name: "Letter",
      text: `to ${letter.to}, ${letter.until === undefined ? `since ${letter.from}` : `${letter.from} to ${dayBefore(letter.until)}`}, binds its exports${letter.decides ? "" : ", shown, decides nothing"}: ${letter.says}`,
      sources: [letter.source],
    })),
    ...answer.notes.map((note) => ({ name: "Note", text: note.says, sources: [note.source] })),
  ];
  return {
    lawful: answer.verdict === "unknown" ? null : LAWFUL.includes(answer.verdict),
    verdict: WORDS[answer.verdict],
    title: `${chip.name} to ${countryName(form.to)}${form.seat && form.seat !== form.to ? ` for a firm seated in ${countryName(form.seat)}` : ""} on ${place.date}: ${answer.says}`,
    lines,
  };
}

/** Whether a chip could be had lawfully then and there; undefined where the form asks for no place. */
export function lawful(chip: Chip, form: Form): boolean | undefined {
  if (!form.to) return undefined;
  const place = placeOf(form);
  return (
    chip.released.slice(0, place.date.length) <= place.date && LAWFUL.includes(legality({ chip, ...place }).verdict)
  );
}
