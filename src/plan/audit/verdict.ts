/** An audit's verdict, from its checks. */
import { type AuditReport, type Check, GRADES, type Grade, VERDICTS } from "./report.ts";

/**
 * The verdict is the worst grade of any check that could be made. A claim earns better than "not shown" only if at least one check
 * set its hours against its work (physics, peers or prediction).
 */
export function judge(checks: Check[]): AuditReport["verdict"] {
  const made = checks.filter((check): check is Check & { grade: Grade } => check.grade !== "unknown");
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
