/** The audit's door. */

export { CLAIMS, claimOf } from "../claims/index.ts";
export { audit } from "./audit.ts";
export { type Claim, claimConfig, parseClaim } from "./claim.ts";
export { count, percent, usd } from "./figures.ts";
export { auditMarkdown, odds, SIGN } from "./markdown.ts";
export { type AuditReport, type Band, type Check, GRADES, VERDICTS } from "./report.ts";
