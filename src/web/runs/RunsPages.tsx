/** The runs pages by address: the list, one run, a comparison. */
import "../styles/runs.css";
import { route } from "../router.ts";
import { useStore } from "../store.ts";
import { TopBar } from "../ui/parts.tsx";
import { ComparePage } from "./ComparePage.tsx";
import { RunList } from "./RunList.tsx";
import { RunPage } from "./RunPage.tsx";

/** /runs lists, /runs?compare=a,b compares, /runs/<id> is one run. */
export default function RunsPages() {
  const path = useStore(route);
  const url = new URL(path, location.origin);
  const id = decodeURIComponent(/^\/runs\/([^/]+)/.exec(url.pathname)?.[1] ?? "");
  const compare = url.searchParams.get("compare")?.split(",").filter(Boolean).slice(0, 6) ?? [];
  return (
    <div class="runs">
      <TopBar page="runs" />
      {id ? (
        <RunPage key={id} id={id} />
      ) : compare.length > 0 ? (
        <ComparePage key={compare.join()} ids={compare} />
      ) : (
        <RunList />
      )}
    </div>
  );
}
