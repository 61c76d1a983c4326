/** The pages' entry: which page an address shows. */
import "./styles/base.css";
import { type ComponentType, render } from "preact";
import { useEffect, useState } from "preact/hooks";
import { asking, keyNumber } from "./net/key.ts";
import { onLinkClick, route } from "./router.ts";
import { useStore } from "./store.ts";
import { KeyDialog } from "./ui/KeyDialog.tsx";
import { chooseWords, words } from "./words/index.ts";

type Page = ComponentType;
const pages: Record<"chat" | "runs" | "plan", { load: () => Promise<{ default: Page }>; loaded?: Page }> = {
  chat: { load: () => import("./chat/ChatPage.tsx") },
  runs: { load: () => import("./runs/RunsPages.tsx") },
  plan: { load: () => import("./plan/PlanPages.tsx") },
};

/** Each page is its own bundle, loaded when first shown; the chat carries no charts, the runs no Markdown and neither the planner. */
function App() {
  const path = useStore(route);
  const name = (/^\/(runs|plan)(?:\/|\?|$)/.exec(path)?.[1] ?? "chat") as keyof typeof pages;
  const [, redraw] = useState(0);
  const [failed, setFailed] = useState(false);
  const page = pages[name];
  useEffect(() => {
    if (page.loaded) return;
    page.load().then(
      (module) => {
        page.loaded = module.default;
        redraw((n) => n + 1);
      },
      () => setFailed(true),
    );
  }, [name]);
  const asked = useStore(asking);
  const number = useStore(keyNumber);
  if (page.loaded)
    return (
      <>
        <page.loaded key={number} />
        {(asked === "first" || asked === "again") && <KeyDialog />}
      </>
    );
  if (!failed) return null;
  return (
    <main class="centre">
      <h1>{words.common.notLoaded}</h1>
      <p>{words.common.serverGone}</p>
      <button type="button" class="primary" onClick={() => location.reload()}>
        {words.common.reload}
      </button>
    </main>
  );
}

document.addEventListener("click", onLinkClick);
// a page that cannot be loaded says so in English
await chooseWords().catch(() => {});
render(<App />, document.getElementById("app")!);
