/** Addresses of the pages: which is shown, and links that change it without a load. */
import { createStore } from "./store.ts";

/** Path and query of the page on show. */
export const route = createStore(location.pathname + location.search);

addEventListener("popstate", () => route.set(location.pathname + location.search));

/** Goes to another page of this app without loading it anew, so that an answer under way goes on. */
export function go(to: string, replace = false): void {
  if (to === location.pathname + location.search) return;
  if (replace) history.replaceState(null, "", to);
  else history.pushState(null, "", to);
  route.set(to);
  if (!replace) scrollTo(0, 0);
}

/** A click listener for the whole page: plain left clicks on links within the app are routed, all else is the browser's. */
export function onLinkClick(event: MouseEvent): void {
  if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey)
    return;
  const link = (event.target as Element).closest?.("a");
  if (!link || link.target || link.origin !== location.origin || link.hasAttribute("download")) return;
  if (link.pathname !== "/" && !/^\/(c|runs|plan)(\/|$)/.test(link.pathname)) return;
  event.preventDefault();
  go(link.pathname + link.search);
}
