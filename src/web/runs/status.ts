/** A run's status: what its log tells, and what only the server knows. */
import { useEffect, useState } from "preact/hooks";
import { getJson } from "../net/api.ts";
import type { RunSummary, Status } from "./live.ts";
import type { RunLog } from "./log.ts";

/** A run's status. Its log tells an end; only the server knows whether the process behind it still lives. */
export function useStatus(id: string, log: RunLog): Status | null {
  const [told, setTold] = useState<Status | null>(null);
  useEffect(() => {
    let gone = false;
    const ask = () =>
      getJson<RunSummary[]>("/api/runs").then(
        (runs) => !gone && setTold(runs.find((run) => run.id === id)?.status ?? null),
        () => {},
      );
    void ask();
    const timer = setInterval(() => void ask(), 5_000);
    return () => {
      gone = true;
      clearInterval(timer);
    };
  }, [id, log.end]);
  return log.end ? log.end.reason : told;
}
