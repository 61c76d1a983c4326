/** An empty chat: what the model can do, and questions to begin with. */
import { useStore } from "../store.ts";
import { Logo } from "../ui/icons.tsx";
import { words } from "../words/index.ts";
import { connection } from "./connection.ts";
import { factsOf } from "./facts.ts";

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
        <h1>{words.welcome.none}</h1>
        <p>
          {words.welcome.noneHelp(
            (text) => (
              <a href="/runs">{text}</a>
            ),
            <code>npx sumbi serve models/NAME</code>,
          )}
        </p>
      </div>
    );
  }
  const own = link.state === "up" ? link.model.details.examples : null;
  const examples =
    Array.isArray(own) && own.every((e) => typeof e === "string") && own.length > 0
      ? (own as string[]).slice(0, 6)
      : EXAMPLES;
  const model = link.state === "up" ? link.model : undefined;
  const facts = factsOf(model?.details ?? {});
  return (
    <div class="welcome">
      <Logo size={52} />
      <h1>{model ? words.welcome.ask(model.id) : words.welcome.askYours}</h1>
      <p>
        {[
          facts.what && words.welcome.what(facts.what, facts.thinks),
          here ? words.welcome.here : words.welcome.there(location.hostname),
        ]
          .filter(Boolean)
          .join(" ")}
      </p>
      {facts.tiles.length > 0 && (
        <dl class="facts">
          {facts.tiles.map(({ name, value, note }) => (
            <div key={name}>
              <dt>{name}</dt>
              <dd>
                {value}
                {note && <small>{note}</small>}
              </dd>
            </div>
          ))}
        </dl>
      )}
      <ul class="examples" aria-label={words.welcome.examples}>
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
