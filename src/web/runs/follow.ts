/** A run followed for as long as a component is on the page. */
import { useEffect, useState } from "preact/hooks";
import { type Store, useStore } from "../store.ts";

/** What a follower sees, for as long as the component that calls this is on the page. */
export function useFollowed<T>(start: () => { view: Store<T>; stop: () => void }): T {
  const [followed] = useState(start);
  useEffect(() => () => followed.stop(), []);
  return useStore(followed.view);
}
