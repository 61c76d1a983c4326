/** Code in colours: parsed by highlight.js's grammars, drawn as nodes. Loaded when the first code is seen. */
import type { ElementContent, Root } from "hast";
import bash from "highlight.js/lib/languages/bash";
import c from "highlight.js/lib/languages/c";
import cpp from "highlight.js/lib/languages/cpp";
import css from "highlight.js/lib/languages/css";
import diff from "highlight.js/lib/languages/diff";
import go from "highlight.js/lib/languages/go";
import ini from "highlight.js/lib/languages/ini";
import java from "highlight.js/lib/languages/java";
import javascript from "highlight.js/lib/languages/javascript";
import json from "highlight.js/lib/languages/json";
import python from "highlight.js/lib/languages/python";
import rust from "highlight.js/lib/languages/rust";
import sql from "highlight.js/lib/languages/sql";
import typescript from "highlight.js/lib/languages/typescript";
import xml from "highlight.js/lib/languages/xml";
import yaml from "highlight.js/lib/languages/yaml";
import { createLowlight } from "lowlight";

const lowlight = createLowlight({
  bash,
  c,
  cpp,
  css,
  diff,
  go,
  ini,
  java,
  javascript,
  json,
  python,
  rust,
  sql,
  typescript,
  xml,
  yaml,
});

/** Longer code stays plain: colouring it would make the page stand still. */
const MAX_CHARS = 50_000;

/** Colours the text of an element as code of a language (`python`, `ts`, …); leaves it as it is where the language is none of ours. */
export function highlight(element: HTMLElement, language: string): void {
  const text = element.textContent ?? "";
  if (text.length > MAX_CHARS || !lowlight.registered(language)) return;
  element.replaceChildren(...nodesOf(lowlight.highlight(language, text)));
}

function nodesOf({ children }: { children: (Root["children"][number] | ElementContent)[] }): Node[] {
  return children.flatMap((child): Node[] => {
    if (child.type === "text") return [document.createTextNode(child.value)];
    if (child.type !== "element") return [];
    const span = document.createElement("span");
    span.className = ((child.properties.className ?? []) as string[]).join(" ");
    span.append(...nodesOf(child));
    return [span];
  });
}
