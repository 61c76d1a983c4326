/** HTML made safe: the only elements and attributes that Markdown may give. */
import DOMPurify from "dompurify";

/** The only elements that Markdown can make on these pages. No image, form, SVG, MathML, style or frame among them. */
const TAGS =
  "p br hr h1 h2 h3 h4 h5 h6 strong em del code pre blockquote ul ol li table thead tbody tr th td a span sub sup kbd mark u".split(
    " ",
  );
const ATTRIBUTES = ["href", "title", "class", "align", "start"];
const CLASSES = /^(?:math-inline|math-display|task|language-[A-Za-z0-9+#._-]{1,24})$/;
const LINK = /^(?:https?:\/\/|mailto:)/i;

let purifier: typeof DOMPurify | null = null;

function purify(): typeof DOMPurify {
  if (purifier) return purifier;
  purifier = DOMPurify(window);
  purifier.addHook("uponSanitizeAttribute", (_node, data) => {
    if (data.attrName === "class" && !CLASSES.test(data.attrValue)) data.keepAttr = false;
    if (data.attrName === "href" && !LINK.test(data.attrValue)) data.keepAttr = false;
    if (data.attrName === "start" && !/^\d{1,9}$/.test(data.attrValue)) data.keepAttr = false;
  });
  purifier.addHook("afterSanitizeAttributes", (node) => {
    if (node.nodeName !== "A" || !node.hasAttribute("href")) return;
    node.setAttribute("rel", "noopener noreferrer nofollow");
    node.setAttribute("target", "_blank");
  });
  return purifier;
}

/**
 * HTML from outside -> nodes that cannot run, load or submit anything: a short list of elements and attributes, links
 * only to http, https and mailto, opened without access to this page. The pages' security policy would stop the rest
 * a second time.
 */
export function sanitize(html: string): DocumentFragment {
  return purify().sanitize(html, {
    ALLOWED_TAGS: TAGS,
    ALLOWED_ATTR: ATTRIBUTES,
    ALLOWED_URI_REGEXP: LINK,
    // Only addresses are held against the pattern of addresses.
    ADD_URI_SAFE_ATTR: ["align", "start"],
    ALLOW_DATA_ATTR: false,
    ALLOW_ARIA_ATTR: false,
    KEEP_CONTENT: true,
    FORBID_CONTENTS: [
      "script",
      "style",
      "svg",
      "math",
      "iframe",
      "object",
      "embed",
      "template",
      "noscript",
      "title",
      "textarea",
      "xmp",
    ],
    RETURN_DOM_FRAGMENT: true,
  });
}
