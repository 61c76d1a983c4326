// @vitest-environment jsdom
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { MAX_RICH_CHARS, markdownBlocks, readMath } from "./markdown.ts";
import { drawMath } from "./maths.ts";
import { sanitize } from "./sanitize.ts";

function draw(text: string): HTMLElement {
  const root = document.createElement("div");
  for (const block of markdownBlocks(text)) root.append(block.nodes());
  return root;
}

/** Fails on anything in a tree that could run, load, submit, or leave the page in a way the reader did not ask for. */
function expectHarmless(root: ParentNode): void {
  const allowed =
    /^(p|br|hr|h[1-6]|strong|em|del|code|pre|blockquote|ul|ol|li|table|thead|tbody|tr|th|td|a|span|sub|sup|kbd|mark|u|div|button)$/;
  for (const element of root.querySelectorAll("*")) {
    expect(element.localName).toMatch(allowed);
    expect(element.namespaceURI).toBe("http://www.w3.org/1999/xhtml");
    for (const { name, value } of element.attributes) {
      expect(name).toMatch(/^(href|title|class|align|start|rel|target|type|tabindex|data-copy)$/);
      if (name === "href") expect(value).toMatch(/^(https?:\/\/|mailto:)/i);
    }
    if (element.localName === "a" && element.hasAttribute("href")) {
      expect(element.getAttribute("rel")).toContain("noopener");
      expect(element.getAttribute("target")).toBe("_blank");
    }
  }
}

const HOSTILE = [
  "<script>alert(1)</script>",
  "<scr<script>ipt>alert(1)</script>",
  "<img src=x onerror=alert(1)>",
  "<img src=https://evil.example/pixel.png>",
  "![x](https://evil.example/pixel.png)",
  "![x](javascript:alert(1))",
  '![x" onerror="alert(1)](https://evil.example/a.png)',
  "[x](javascript:alert(1))",
  "[x](JaVaScRiPt:alert(1))",
  "[x](java\nscript:alert(1))",
  "[x](&#106;avascript:alert(1))",
  "[x](data:text/html;base64,PHNjcmlwdD5hbGVydCgxKTwvc2NyaXB0Pg==)",
  "[x](vbscript:msgbox(1))",
  "[x](//evil.example)",
  "[x](/runs)",
  '[x](https://a.example "t" onclick="alert(1))',
  "<a href='javascript:alert(1)'>x</a>",
  "<javascript:alert(1)>",
  "<svg onload=alert(1)>",
  "<svg><script>alert(1)</script></svg>",
  "<svg><a xlink:href='javascript:alert(1)'><text>x</text></a></svg>",
  "<math><mtext><table><mglyph><style><!--</style><img title='--&gt;&lt;img src=1 onerror=alert(1)&gt;'>",
  "<math><annotation-xml encoding='text/html'><iframe src=javascript:alert(1)></iframe></annotation-xml></math>",
  "<form><math><mtext></form><form><mglyph><style></math><img src onerror=alert(1)>",
  "<iframe srcdoc='<script>alert(1)</script>'></iframe>",
  "<object data=javascript:alert(1)></object><embed src=javascript:alert(1)>",
  "<style>@import 'https://evil.example';</style><link rel=stylesheet href=https://evil.example>",
  "<meta http-equiv=refresh content='0;url=javascript:alert(1)'><base href=https://evil.example>",
  "<form action=https://evil.example><input name=q autofocus onfocus=alert(1)><button formaction=javascript:alert(1)>",
  "<p style='background:url(https://evil.example)'>x</p>",
  "<template><script>alert(1)</script></template><noscript><p title='</noscript><img src=x onerror=alert(1)>'>",
  "<textarea></textarea><title><img src=x onerror=alert(1)></title>",
  "<br onclick=alert(1)><sub onmouseover=alert(1)>x</sub>",
  "```html\n<script>alert(1)</script>\n```",
  '```"><img src=x onerror=alert(1)>\ncode\n```',
  "`<img src=x onerror=alert(1)>`",
  "| a |\n|---|\n| <img src=x onerror=alert(1)> |",
  "$\\href{javascript:alert(1)}{x}$ $$\\url{javascript:alert(1)}$$",
  "$\\htmlData{x=1}{y}$ $\\includegraphics{https://evil.example/a.png}$",
  "$</span><img src=x onerror=alert(1)>$",
  "[a]: javascript:alert(1)\n\n[a]",
  '<https://ok.example/"onmouseover=alert(1)>',
  "\u0000<img\u0000 src=x onerror=alert(1)>",
  "<details open ontoggle=alert(1)>x</details>",
  "<span class='math-inline'>\\href{javascript:alert(1)}{x}</span>",
  "- [x] <input onfocus=alert(1) autofocus>",
];

describe("what a model writes", () => {
  it.each(HOSTILE)("cannot run or load as Markdown: %s", (text) => {
    expectHarmless(draw(text));
    expectHarmless(draw(`> - before\n>\n>   ${text}\n\nafter`));
  });

  it.each(HOSTILE)("cannot run or load as HTML either: %s", (text) => {
    expectHarmless(sanitize(text));
  });

  it("cannot run or load whatever pieces it is made of", () => {
    const piece = fc.oneof(
      fc.constantFrom(...HOSTILE),
      fc.constantFrom(
        "<",
        ">",
        '"',
        "'",
        "`",
        "```",
        "\n",
        "\n\n",
        "$",
        "$$",
        "[",
        "](",
        ")",
        "|",
        "> ",
        "* ",
        "&#x3c;",
        "<!--",
        "-->",
        "]]>",
        "</",
      ),
      fc.string({ maxLength: 8 }),
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 8 }), (pieces) => {
        expectHarmless(draw(pieces.join("")));
        expectHarmless(sanitize(pieces.join("")));
      }),
      { numRuns: 150 },
    );
  });

  it("is shown as text where it is HTML, with nothing lost", () => {
    expect(draw("a <script>alert(1)</script> b").textContent).toContain("<script>alert(1)</script>");
    expect(draw("H<sub>2</sub>O").querySelector("sub")?.textContent).toBe("2");
    expect(draw("a <sub onclick=x>2</sub>").querySelector("sub")).toBeNull();
  });

  it("turns images into links, which load only when followed", () => {
    const link = draw("![a chart](https://example.com/x.png)").querySelector("a");
    expect(link?.textContent).toBe("a chart");
    expect(link?.getAttribute("href")).toBe("https://example.com/x.png");
    expect(link?.rel).toBe("noopener noreferrer nofollow");
  });
});

describe("Markdown", () => {
  it("draws paragraphs, emphasis, lists, tables with alignment, and code with its language", () => {
    const root = draw(
      "# T\n\n**b** and *i*\nnext\n\n3. x\n4. y\n\n| n | m |\n|--:|:-:|\n| 2 | 4 |\n\n```ts\nlet x = 1 < 2;\n```",
    );
    expect(root.querySelector("h1")?.textContent).toBe("T");
    expect(root.querySelector("p")?.innerHTML).toBe("<strong>b</strong> and <em>i</em><br>next");
    expect(root.querySelector("ol")?.getAttribute("start")).toBe("3");
    expect([...root.querySelectorAll("td")].map((cell) => cell.getAttribute("align"))).toEqual(["right", "center"]);
    expect(root.querySelector("pre")?.textContent).toBe("let x = 1 < 2;\n");
    expect(root.querySelector(".code-bar span")?.textContent).toBe("ts");
  });

  it("keeps the stars of products, and takes those around words for emphasis", () => {
    const working = "36*37\n6*7+0=42 carry 4\n3*7+4=25\n(a+b)*c*(d) and 2**10**2";
    const root = draw(working);
    expect(root.querySelector("em, strong")).toBeNull();
    expect(root.textContent?.trim()).toBe(working.replaceAll("\n", ""));
    expect(
      [...draw("an *important* **bold** 这是*重点*内容 (*so*)").querySelectorAll("em, strong")].map(
        (e) => e.textContent,
      ),
    ).toEqual(["important", "bold", "重点", "so"]);
  });

  it("keeps the blocks before the last one the same while text grows", () => {
    const text = "one\n\n- two\n- three\n\n```\nfour\n```\n\nfive $x$ six";
    const whole = markdownBlocks(text).map((block) => block.key);
    for (let n = 1; n < text.length; n++) {
      const keys = markdownBlocks(text.slice(0, n)).map((block) => block.key);
      // A block counts as settled once another follows its blank line.
      for (const [i, key] of keys.slice(0, -1).entries()) expect(whole[i]!.trimEnd()).toBe(key.trimEnd());
    }
  });

  it("shows very long text plainly, and takes nesting and floods of marks without failing", () => {
    const long = "word *x* ".repeat(MAX_RICH_CHARS / 8);
    const root = draw(long);
    expect(root.childNodes.length).toBe(1);
    expect(root.textContent).toBe(long);
    for (const flood of [
      ">".repeat(5_000) + "x",
      "[".repeat(5_000),
      "*a ".repeat(5_000),
      "$".repeat(5_001),
      "<".repeat(5_000),
      "- ".repeat(2_000) + "x",
      "`".repeat(4_999),
      "\\(".repeat(3_000),
      "|a".repeat(3_000),
    ]) {
      expectHarmless(draw(flood));
    }
    expect(draw(">".repeat(5_000) + "x").textContent).toContain("x");
  });
});

describe("maths", () => {
  it("is found in all four notations", () => {
    expect(readMath("$x^2$ and")).toEqual({ raw: "$x^2$", tex: "x^2", display: false });
    expect(readMath("\\(a\\)")).toEqual({ raw: "\\(a\\)", tex: "a", display: false });
    expect(readMath("$$\na\n$$")).toEqual({ raw: "$$\na\n$$", tex: "a", display: true });
    expect(readMath("\\[ a_1 \\] b")).toEqual({ raw: "\\[ a_1 \\]", tex: "a_1", display: true });
    expect(readMath("$a\\$b$")?.tex).toBe("a\\$b");
  });

  it("is not seen in prices, unclosed signs or over paragraphs", () => {
    for (const text of ["$5 and $6", "$ x$", "$x", "$x\n\ny$", "$$", "$$ $$", "$20$30", "x$y$"])
      expect(readMath(text)).toBeNull();
    expect(draw("It costs $5 or $6.").querySelector(".math-inline")).toBeNull();
    expect(draw("`$x$`").querySelector(".math-inline")).toBeNull();
  });

  it("goes through Markdown untouched by its marks", () => {
    const span = draw("so $a_1 * b_2 * c < d$ holds").querySelector(".math-inline");
    expect(span?.textContent).toBe("a_1 * b_2 * c < d");
    expect(draw("text\n\n$$\n\\frac{1}{2}\n$$\n\nmore").querySelector(".math-display")?.textContent).toBe(
      "\\frac{1}{2}",
    );
  });

  it("is drawn by KaTeX without links, images or handlers, whatever it holds", () => {
    for (const tex of [
      "\\frac{1}{2}",
      "\\href{javascript:alert(1)}{x}",
      "\\url{javascript:alert(1)}",
      "\\htmlStyle{color:red}{x}",
      "\\includegraphics{https://evil.example/a.png}",
      "\\def\\a{\\a\\a}\\a",
      "\\frac{",
      "\\rule{999999em}{999999em}",
    ]) {
      const span = document.createElement("span");
      drawMath(span, tex, true);
      expect(span.querySelectorAll("a[href], img, script, iframe, [onclick], [onload], [onerror]").length).toBe(0);
      expect(span.textContent).not.toBe("");
    }
    const half = document.createElement("span");
    drawMath(half, "\\frac{1}{2}", false);
    expect(half.querySelector(".katex .mfrac")).not.toBeNull();
  });
});
