/** The planner's pages as a static site: the entry. */
import "../../styles/base.css";
import { render } from "preact";
import { go } from "../../router.ts";
import PlanPages from "../PlanPages.tsx";

// One file in whatever folder: links to it change the question, all others are the browser's.
document.addEventListener("click", (event) => {
  if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey)
    return;
  const link = (event.target as Element).closest?.("a");
  if (!link || link.target || link.origin !== location.origin || link.pathname !== location.pathname) return;
  event.preventDefault();
  go(link.pathname + link.search);
});
render(<PlanPages />, document.getElementById("app")!);
