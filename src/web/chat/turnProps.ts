/** What a turn on the page is drawn from. */
import type { Turn } from "./types.ts";

export interface TurnProps {
  conversationId: string;
  turn: Turn;
  /** Which of the versions of its question it is, from 0, and how many there are. */
  version: number;
  versions: number;
  first: boolean;
  last: boolean;
  onSettings: () => void;
  onNew: () => void;
}
