/** The dialog that saves a chat as a file, shares it or copies it. */
import { save } from "../ui/download.ts";
import { CopyTextButton, Dialog } from "../ui/parts.tsx";
import { words } from "../words/index.ts";
import { fileStem, toJson, toMarkdown } from "./exchange.ts";
import type { Conversation } from "./types.ts";

/** Saves a chat to read (Markdown) or to keep (JSON); shares it where the system can. */
export function FileDialog({ conversation, onClose }: { conversation: Conversation; onClose: () => void }) {
  const stem = fileStem(conversation.title);
  const markdown = () => new File([toMarkdown(conversation)], `${stem}.md`, { type: "text/markdown" });
  const shareable = typeof navigator.canShare === "function" && navigator.canShare({ files: [markdown()] });
  return (
    <Dialog title={words.file.title} onClose={onClose} class="file-dialog">
      <p class="faint">{conversation.title}</p>
      <dl class="ways">
        <dt>
          <button type="button" class="quiet" onClick={() => save(`${stem}.md`, markdown())}>
            {words.file.markdown}
          </button>
        </dt>
        <dd>{words.file.markdownHelp}</dd>
        <dt>
          <button
            type="button"
            class="quiet"
            onClick={() => save(`${stem}.json`, toJson([conversation]), "application/json")}
          >
            {words.file.json}
          </button>
        </dt>
        <dd>{words.file.jsonHelp}</dd>
      </dl>
      <p class="faint">{words.file.both}</p>
      <div class="row between">
        <CopyTextButton text={() => toMarkdown(conversation)} label={words.file.copy} />
        {shareable && (
          <button
            type="button"
            class="primary"
            // refused or given up: nothing was shared, and the system said so
            onClick={() => void navigator.share({ files: [markdown()], title: conversation.title }).catch(() => {})}
          >
            {words.file.share}
          </button>
        )}
      </div>
    </Dialog>
  );
}
