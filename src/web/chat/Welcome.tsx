import { useStore } from "../store.ts";
import { Logo } from "../ui/icons.tsx";
import { connection } from "./state.ts";

/** What the bundled model is good at: arithmetic, with its working shown. */
const EXAMPLES = ["What is 347 + 586?", "What is 48 × 27?", "What is 1000 - 463?", "What is 84 ÷ 7?"];

/** The page before the first question. A server may name questions that suit its model (`examples` of /api/model). */
export function Welcome({ onPick }: { onPick: (question: string) => void }) {
  const link = useStore(connection);
  const own = link.state === "up" ? link.model.details.examples : null;
  const examples = Array.isArray(own) && own.every((e) => typeof e === "string") && own.length > 0 ? (own as string[]).slice(0, 6) : EXAMPLES;
  return (
    <div class="welcome">
      <Logo size={52} />
      <h1>Ask the model on this machine</h1>
      <p>It was trained from scratch, it runs here, and nothing you write leaves this computer.</p>
      <ul class="examples" aria-label="Questions to begin with">
        {examples.map((example) => (
          <li key={example}>
            <button type="button" onClick={() => onPick(example)}>
              {example}
            </button>
          </li>
        ))}
      </ul>
    </div>
  );
}
