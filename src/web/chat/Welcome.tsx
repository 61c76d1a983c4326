/** An empty chat: what the model can do, and questions to begin with. */
import { useStore } from "../store.ts";
import { Logo } from "../ui/icons.tsx";
import { connection } from "./state.ts";

/** What the bundled model is good at: arithmetic, with its working shown. */
const EXAMPLES = [
  "What is 347 + 586?",
  "What is 36 × 37?",
  "How much is 4100 - 463?",
  "Which is larger, 8513 or 8531?",
];

const here = /^(localhost|127\.|\[::1\])/.test(location.hostname);

/** The page before the first question. A server may name questions that suit its model (`examples` of /api/model). */
export function Welcome({ onPick }: { onPick: (question: string) => void }) {
  const link = useStore(connection);
  if (link.state === "none") {
    return (
      <div class="welcome">
        <Logo size={52} />
        <h1>No model to talk to here</h1>
        <p>
          This server shows <a href="/runs">runs</a> only. When one has ended, serve what it made:{" "}
          <code>npx sumbi serve models/NAME</code>
        </p>
      </div>
    );
  }
  const own = link.state === "up" ? link.model.details.examples : null;
  const examples =
    Array.isArray(own) && own.every((e) => typeof e === "string") && own.length > 0
      ? (own as string[]).slice(0, 6)
      : EXAMPLES;
  return (
    <div class="welcome">
      <Logo size={52} />
      <h1>Ask {link.state === "up" ? link.model.id : "a model of your own"}</h1>
      <p>
        {here
          ? "It runs on this computer, and nothing you write leaves it."
          : `It runs on ${location.hostname}, and what you write goes nowhere else.`}
      </p>
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
