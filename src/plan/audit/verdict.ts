/** An audit's verdict, from its checks. */
import { isOfMoney } from "./hours.ts";
import { type AuditReport, type Check, GRADES, type Grade, VERDICTS } from "./report.ts";

/**
 * The verdict is the worst grade of any check that could be made. A claim earns better than "not shown" only if at least one check
 * set its hours against its work (physics, peers or prediction). A claim whose only fault is a sum of money is told so: its hours are judged by the rest.
 */
export function judge(checks: Check[]): AuditReport["verdict"] {
  const all = checks.filter((check): check is Check & { grade: Grade } => check.grade !== "unknown");
  const broken = all.filter(({ grade }) => grade === "broken");
  if (broken.length > 0 && broken.every(isOfMoney)) {
    const rest = judge(checks.filter((check) => !broken.includes(check as Check & { grade: Grade })));
    const grade = rest.grade === "ok" ? "aggressive" : rest.grade;
    const said = broken.map(({ short }) => short).join("; ");
    return {
      grade,
      label: VERDICTS[grade],
      because: `the money does not follow from the hours (${said}), and nothing else contradicts the claim; without it: ${rest.label}, ${rest.because}`,
    };
  }
  const made = all;
  const measured = made.some(
    ({ kind, id }) =>
      (kind === "physics" || kind === "peers" || kind === "prediction") && id !== "layout" && id !== "memory",
  );
  const worst = made.reduce<Grade>((w, { grade }) => (GRADES.indexOf(grade) > GRADES.indexOf(w) ? grade : w), "ok");
  if (!measured && worst !== "broken")
    return {
      grade: "unshown",
      label: VERDICTS.unshown,
      because: "nothing in the claim lets its hours be set against its work",
    };
  const count = (grade: Grade) => made.filter((check) => check.grade === grade).length;
  const reasons = made.filter(({ grade }) => grade === worst).map(({ title }) => title);
  const because =
    worst === "ok"
      ? `all ${made.length} checks hold`
      : worst === "aggressive"
        ? `${count("ok")} of ${made.length} checks hold outright; at the edge of what was shown: ${reasons.join("; ")}`
        : worst === "unshown"
          ? `nothing published supports: ${reasons.join("; ")}`
          : `contradicted: ${reasons.join("; ")}`;
  return { grade: worst, label: VERDICTS[worst], because };
}
