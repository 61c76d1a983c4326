/** The planner's pages by address: the planner and the audits. */
import "../styles/runs.css";
import "./plan.css";
import { route } from "../router.ts";
import { useStore } from "../store.ts";
import { Logo } from "../ui/icons.tsx";
import { ThemeButton, TopBar } from "../ui/parts.tsx";
import { AuditPage } from "./AuditPage.tsx";
import { PlanPage } from "./PlanPage.tsx";
import { auditPath, claimIn, planPath, STATIC } from "./paths.ts";

/** /plan answers a question, /plan/audit/<claim> holds a published claim against the planner. */
export default function PlanPages() {
  const path = useStore(route);
  const claim = claimIn(path);
  return (
    <div class="runs plan">
      {STATIC ? (
        <header class="top">
          <a class="brand" href={planPath()}>
            <Logo />
            <span>Sumbi</span>
          </a>
          <Sections claim={claim} />
          <div class="top-rest">
            <ThemeButton />
          </div>
        </header>
      ) : (
        <>
          <TopBar page="plan" />
          <div class="sections">
            <Sections claim={claim} />
          </div>
        </>
      )}
      {claim === null ? <PlanPage /> : <AuditPage key={claim} claim={claim} />}
    </div>
  );
}

function Sections({ claim }: { claim: string | null }) {
  return (
    <nav aria-label="Plan and audit">
      <a href={planPath()} aria-current={claim === null ? "page" : undefined}>
        Plan
      </a>
      <a href={auditPath("deepseek-v3")} aria-current={claim !== null ? "page" : undefined}>
        Audit
      </a>
    </nav>
  );
}
