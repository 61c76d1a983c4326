/** The audit of a claim as a page. */
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { parseJson } from "../../json.ts";
import type { AuditReport, Check } from "../../plan/audit/index.ts";
import { go } from "../router.ts";
import { save } from "../ui/download.ts";
import { CopyButton, Dialog } from "../ui/parts.tsx";
import { Planner } from "./client.ts";
import { csv } from "./download.ts";
import { Bands } from "./figures/Band.tsx";
import { Figure } from "./figures/Figure.tsx";
import { count, money, seconds } from "./format.ts";
import type { Catalogue, Reply } from "./messages.ts";
import { auditPath, planPath } from "./paths.ts";
import { picture } from "./picture.ts";
import { SourceList, Sources } from "./Sources.tsx";

const USD = { id: "USD", perUsd: 1 };
const usd = (value: number, figures = 4) => money(value, USD, figures);
/** A claim that its reader pasted lives in the address itself, as JSON. */
const PASTED = "json:";

const EXAMPLE = `{
  "name": "mine",
  "who": "Someone",
  "date": "2026-01-01",
  "model": "llama-3.1-8b",
  "chip": "h100",
  "gpus": 256,
  "tokens": "2T",
  "sequence": 8192,
  "phases": [{ "name": "pre-training", "gpuHours": "180K", "usd": "360K" }],
  "usdPerGpuHour": 2
}`;

/** A published claim, worked out again: what it says, what follows, and how far to believe it. */
export function AuditPage({ claim }: { claim: string }) {
  const [report, setReport] = useState<AuditReport | null>(null);
  const [catalogue, setCatalogue] = useState<Catalogue | null>(null);
  const [fault, setFault] = useState<string | null>(null);
  const [pasting, setPasting] = useState(false);
  const root = useRef<HTMLElement>(null);
  const receive = (reply: Reply) => {
    if (reply.kind === "catalogue") setCatalogue(reply.catalogue);
    else if (reply.kind === "audit") setReport(reply.report as AuditReport);
    else if (reply.kind === "faults") setFault(reply.faults.map((f) => f.message).join("\n"));
  };
  const auditor = useMemo(() => new Planner(receive), []);
  const tables = useMemo(() => new Planner(receive), []);
  useEffect(() => {
    auditor.ask({ kind: "audit", claim: claim.startsWith(PASTED) ? claim.slice(PASTED.length) : claim });
    tables.ask({ kind: "catalogue" });
    return () => {
      auditor.stop();
      tables.stop();
    };
  }, []);
  useEffect(() => {
    document.title = `${report ? `${report.title}: ${report.verdict.label}` : "Audit"} – Sumbi`;
  }, [report]);
  const given = claim.startsWith(PASTED)
    ? claim.slice(PASTED.length)
    : (catalogue?.claims.find((c) => c.id === claim)?.text ?? EXAMPLE);

  return (
    <main class="page audit" ref={root}>
      <div class="row between audit-bar">
        <nav class="row" aria-label="Claims">
          {(catalogue?.claims ?? []).map((known) => (
            <a
              key={known.id}
              class="pick-claim"
              href={auditPath(known.id)}
              aria-current={known.id === claim ? "page" : undefined}
            >
              {known.title}
            </a>
          ))}
          <button type="button" class="quiet small" onClick={() => setPasting(true)}>
            A claim of your own
          </button>
        </nav>
        {report && (
          <span class="row">
            <CopyButton text={() => location.href} label="Copy a link to this audit" />
            <button
              type="button"
              class="quiet small"
              onClick={() =>
                save(`audit-${report.claim.name}.json`, JSON.stringify(report, null, 2), "application/json")
              }
            >
              JSON
            </button>
            <button
              type="button"
              class="quiet small"
              onClick={() =>
                save(
                  `audit-${report.claim.name}.csv`,
                  csv([
                    ["check", "kind", "grade", "says"],
                    ...report.checks.map((c) => [c.title, c.kind, c.grade, c.says]),
                  ]),
                  "text/csv",
                )
              }
            >
              CSV
            </button>
            <button
              type="button"
              class="quiet small"
              onClick={() =>
                void picture(
                  root.current!,
                  `${report.title}: ${report.verdict.label}`,
                  [report.verdict.because],
                  `Sumbi · ${location.href}`.slice(0, 150),
                ).then((blob) => save(`audit-${report.claim.name}.png`, blob))
              }
            >
              PNG
            </button>
          </span>
        )}
      </div>
      {fault !== null ? (
        <div class="notice bad explained" role="alert">
          <div>
            <b>This claim cannot be audited.</b>
            <p class="lines">{fault}</p>
            <p>
              <a href={planPath()}>Ask the planner instead</a>, or change the claim.
            </p>
          </div>
        </div>
      ) : report ? (
        <Report report={report} />
      ) : (
        <div class="waiting" role="status">
          <p class="faint">Working it out again…</p>
          <div class="ghost tall" />
          <div class="ghost" />
        </div>
      )}
      {pasting && (
        <PasteClaim
          start={given}
          onClose={() => setPasting(false)}
          onDone={(json) => {
            setPasting(false);
            go(auditPath(PASTED + json));
          }}
        />
      )}
    </main>
  );
}

const GRADE: Record<Check["grade"], { name: string; pill: string }> = {
  ok: { name: "adds up", pill: "done" },
  aggressive: { name: "aggressive", pill: "stale" },
  unshown: { name: "not shown", pill: "stale" },
  broken: { name: "does not add up", pill: "failed" },
  unknown: { name: "cannot tell", pill: "" },
};

const SCALE = ["ok", "aggressive", "unshown", "broken"] as const;
const SCALE_NAMES = {
  ok: "adds up",
  aggressive: "plausible, aggressive",
  unshown: "not shown",
  broken: "does not add up",
};

function Report({ report }: { report: AuditReport }) {
  const { verdict, hours, money: cash, predicted, implied } = report;
  const evidence = (ids: string[]) =>
    ids.map((id) => report.checks.find((c) => c.id === id)).filter((c) => c !== undefined);
  const hourRows = [
    {
      name: "all that is claimed",
      p10: hours.p10,
      p50: hours.p50,
      p90: hours.p90,
      mark: { value: hours.stated, name: "claimed" },
    },
    ...(predicted && implied
      ? [
          {
            name: "predicted, counted phases",
            p10: predicted.gpuHours.p10,
            p50: predicted.gpuHours.p50,
            p90: predicted.gpuHours.p90,
            mark: { value: implied.gpuHours, name: "claimed" },
          },
        ]
      : []),
  ];
  const lines = [cash.finalRun, cash.programme, ...(cash.ownership ? [cash.ownership] : [])];
  return (
    <article>
      <header class="verdict">
        <p class="crumbs">
          {report.claim.who}, {report.claim.date}
        </p>
        <h1>{report.title}</h1>
        <ol class="scale" aria-label="Verdict">
          {SCALE.map((grade) => (
            <li
              key={grade}
              class={grade === verdict.grade ? `on ${grade}` : ""}
              aria-current={grade === verdict.grade ? "true" : undefined}
            >
              {SCALE_NAMES[grade]}
            </li>
          ))}
        </ol>
        <p class="because">{verdict.because}</p>
      </header>

      <section class="card">
        <h2>
          The claim <Sources of="the claim" sources={report.claim.sources} />
        </h2>
        <dl class="facts">
          {report.restated.map((item) => (
            <div key={item.label}>
              <dt>{item.label}</dt>
              <dd>{item.value}</dd>
            </div>
          ))}
        </dl>
      </section>

      <Figure
        id="hours"
        title="GPU-hours: claimed, and likely true"
        help="Bars run from the 10th to the 90th percentile; the upright line is the claim"
      >
        <Bands label="GPU-hours" rows={hourRows} format={(v) => count(v, 3)} />
        <p>
          {hours.how}
          {Number.isFinite(hours.asStated) && (
            <span class="faint">
              {" "}
              Chance that the hours are as stated: {(hours.asStated * 100).toFixed(0)} %, from{" "}
              {(hours.priors[0] * 100).toFixed(0)} % before; {(hours.trusting * 100).toFixed(0)} % from{" "}
              {(hours.priors[1] * 100).toFixed(0)} %.
            </span>
          )}
        </p>
        <p class="faint small">{hours.restsOn}</p>
        {predicted && (
          <p class="faint small">
            {predicted.how} Predicted step {seconds(predicted.stepSeconds)},{" "}
            {predicted.tokensPerSecondPerGpu.toFixed(0)} tokens/s per GPU, MFU {(predicted.mfu * 100).toFixed(1)} %.
          </p>
        )}
      </Figure>

      <Figure id="audit-cost" title="What it cost: the final run, and the programme" help="Two lines, never one">
        <Bands
          label="Cost"
          rows={lines.map((line, i) => ({
            name: line.what,
            ...line.usd,
            mark: i === 0 && cash.stated !== undefined ? { value: cash.stated, name: "claimed" } : undefined,
          }))}
          format={(v) => usd(v, 3)}
        />
        <dl class="how">
          {lines.map((line) => (
            <div key={line.what}>
              <dt>
                {line.what} <b>{usd(line.usd.p50)}</b> <Sources of={line.what} sources={line.sources} />
              </dt>
              <dd>{line.how}</dd>
            </div>
          ))}
        </dl>
      </Figure>

      <section class="card">
        <h2>Evidence</h2>
        <div class="evidence">
          {(
            [
              ["For", report.for],
              ["Against", report.against],
              ["Open", report.open],
            ] as const
          ).map(([name, ids]) => (
            <div key={name}>
              <h3>{name}</h3>
              <ul>
                {evidence(ids).map((check) => (
                  <li key={check.id}>{check.short}</li>
                ))}
                {ids.length === 0 && <li class="faint">nothing</li>}
              </ul>
            </div>
          ))}
        </div>
      </section>

      <section class="card">
        <h2>Worked out again</h2>
        <ul class="checks">
          {report.checks.map((check) => (
            <li key={check.id}>
              <div class="row">
                <span class={`pill ${GRADE[check.grade].pill}`}>{GRADE[check.grade].name}</span>
                <h3>{check.title}</h3>
                <Sources of={check.title} sources={check.sources} />
              </div>
              <p>{check.says}</p>
            </li>
          ))}
        </ul>
      </section>

      {report.peers.length > 0 && <Peers report={report} />}

      {report.alternatives.length > 0 && (
        <section class="card">
          <h2>What else could be true, and what one would then see</h2>
          {report.alternatives.map((other) => (
            <div key={other.name} class="alternative">
              <h3>
                {other.name} <span class="faint">fits the published details {other.fits}</span>{" "}
                <Sources of={other.name} sources={other.sources} />
              </h3>
              <p>{other.says}</p>
              {other.needs.length > 0 && (
                <div class="table-box" tabIndex={0} role="region" aria-label={other.name}>
                  <table class="run-table">
                    <thead>
                      <tr>
                        <th scope="col">Quantity</th>
                        <th scope="col">Stated</th>
                        <th scope="col">Needed</th>
                        <th scope="col">Fits</th>
                      </tr>
                    </thead>
                    <tbody>
                      {other.needs.map((need) => (
                        <tr key={need.quantity}>
                          <td>{need.quantity}</td>
                          <td>{need.stated}</td>
                          <td>{need.needed}</td>
                          <td>
                            <span
                              class={`pill ${{ yes: "done", same: "", strained: "stale", no: "failed" }[need.fits]}`}
                            >
                              {need.fits}
                            </span>
                          </td>
                        </tr>
                      ))}
                    </tbody>
                  </table>
                </div>
              )}
            </div>
          ))}
        </section>
      )}

      {report.leftOut.length > 0 && (
        <section class="card">
          <h2>What the claim leaves out</h2>
          <ul>
            {report.leftOut.map(({ what, said }) => (
              <li key={what}>
                {what}
                {said && " (it says so)"}
              </li>
            ))}
          </ul>
          {cash.multiples.length > 0 && (
            <p class="faint small">
              Programmes cost a multiple of their final run:{" "}
              {cash.multiples.map((m, i) => (
                <span key={m.what}>
                  {i > 0 && "; "}
                  {m.what} × {Number(m.times.toPrecision(3))} <Sources of={m.what} sources={[m.source]} />
                </span>
              ))}
            </p>
          )}
        </section>
      )}

      <section class="card">
        <h2>Sources</h2>
        <SourceList sources={report.sources} />
      </section>
    </article>
  );
}

/** The claimed hours beside what the same work would take at others' measured speed. */
function Peers({ report }: { report: AuditReport }) {
  const claimed = report.implied?.gpuHours;
  const all = [...(claimed ? [claimed] : []), ...report.peers.map((p) => p.gpuHours)];
  const most = Math.max(...all);
  const rows = [
    ...(claimed
      ? [
          {
            name: "as claimed",
            gpuHours: claimed,
            own: true,
            how: "",
            sources: [] as AuditReport["sources"],
            like: true,
            ratio: 1,
          },
        ]
      : []),
    ...report.peers.map((p) => ({ ...p, own: false })),
  ];
  return (
    <section class="card">
      <h2 title="GPU-hours that the claim's work would take at the speed of others">The same work at others' speed</h2>
      <ul class="peers">
        {rows.map((row) => (
          <li key={row.name} class={row.own ? "own" : row.like ? "like" : ""} title={row.how}>
            <span class="peer-name">
              {row.name} <Sources of={row.name} sources={row.sources} note={row.how} />
            </span>
            <span class="peer-bar" aria-hidden="true">
              <i ref={(bar) => void (bar && (bar.style.width = `${(row.gpuHours / most) * 100}%`))} />
            </span>
            <span class="number">
              {count(row.gpuHours, 3)} h
              {row.own
                ? ""
                : ` · ${row.ratio >= 1 ? `the claim is ${((row.ratio - 1) * 100).toFixed(0)} % faster` : `the claim is ${((1 - row.ratio) * 100).toFixed(0)} % slower`}`}
            </span>
          </li>
        ))}
      </ul>
    </section>
  );
}

function PasteClaim({
  start,
  onClose,
  onDone,
}: {
  start: string;
  onClose: () => void;
  onDone: (json: string) => void;
}) {
  const [text, setText] = useState(start);
  const [wrong, setWrong] = useState("");
  return (
    <Dialog title="A claim of your own" onClose={onClose} class="paste">
      <p class="faint">
        Who claims what, on which chips, in how many GPU-hours. Numbers may say 14.8T or 180K. It stays in this page's
        address.
      </p>
      <textarea
        rows={16}
        aria-label="The claim, as JSON"
        spellcheck={false}
        value={text}
        onInput={(event) => setText(event.currentTarget.value)}
      />
      {wrong && (
        <p class="fault" role="alert">
          {wrong}
        </p>
      )}
      <div class="row end">
        <button type="button" class="quiet" onClick={onClose}>
          Cancel
        </button>
        <button
          type="button"
          class="primary"
          onClick={() => {
            try {
              onDone(JSON.stringify(parseJson(text)));
            } catch (error) {
              setWrong(`This is not JSON: ${(error as Error).message}`);
            }
          }}
        >
          Audit it
        </button>
      </div>
    </Dialog>
  );
}
