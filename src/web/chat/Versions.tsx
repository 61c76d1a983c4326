/** Steps through the versions of a question, or the answers to it. */
import { IconButton } from "../ui/parts.tsx";

export interface VersionWords {
  before: string;
  next: string;
  place: (at: number, of: number) => string;
}

/** ‹ 2/3 ›; nothing where there is one. `at` counts from 0. */
export function Versions({
  at,
  of,
  words,
  onShow,
}: {
  at: number;
  of: number;
  words: VersionWords;
  onShow: (index: number) => void;
}) {
  if (of < 2) return null;
  return (
    <span class="versions">
      <IconButton icon="left" label={words.before} size={16} disabled={at === 0} onClick={() => onShow(at - 1)} />
      <span role="status" aria-label={words.place(at + 1, of)}>
        {at + 1}/{of}
      </span>
      <IconButton icon="right" label={words.next} size={16} disabled={at === of - 1} onClick={() => onShow(at + 1)} />
    </span>
  );
}
