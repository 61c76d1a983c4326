/** The theme: light, dark or the system's. */
import { createStore } from "../store.ts";

export type Theme = "system" | "light" | "dark";

function read(): Theme {
  const set = document.documentElement.dataset.theme;
  return set === "light" || set === "dark" ? set : "system";
}

export const theme = createStore<Theme>(read());
/** Whether the page is dark now, by choice or by the system. */
export const dark = createStore(false);

const system = matchMedia("(prefers-color-scheme: dark)");
const apply = () => dark.set(theme.get() === "dark" || (theme.get() === "system" && system.matches));
system.addEventListener("change", apply);
apply();

export function setTheme(next: Theme): void {
  const root = document.documentElement;
  if (next === "system") delete root.dataset.theme;
  else root.dataset.theme = next;
  try {
    if (next === "system") localStorage.removeItem("sumbi.theme");
    else localStorage.setItem("sumbi.theme", next);
  } catch {
    // Storage is forbidden: the choice lasts as long as the page.
  }
  theme.set(next);
  apply();
}
