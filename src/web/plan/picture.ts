/** A figure as a PNG. */
import { cssColor } from "../runs/colors.ts";

const WIDTH = 1080;
const PAD = 28;

/**
 * The page's drawings as one PNG: each `[data-figure]` within `root` with its title, drawing and legend. Drawings are
 * painted shape by shape, since the pages' policy lets no image be made from an SVG's text.
 */
export async function picture(root: Element, title: string, lines: readonly string[], foot: string): Promise<Blob> {
  const figures = [...root.querySelectorAll<HTMLElement>("[data-figure]")].filter((f) =>
    f.querySelector("svg[viewBox], canvas"),
  );
  const canvas = document.createElement("canvas");
  canvas.width = WIDTH * 2;
  // Painted twice: once to learn the height, once for good, as a canvas forgets when it grows.
  let height = 400;
  for (let pass = 0; pass < 2; pass++) {
    canvas.height = height * 2;
    height = paintAll(canvas.getContext("2d")!, figures, title, lines, foot, height);
  }
  return new Promise((resolve, reject) =>
    canvas.toBlob(
      (blob) => (blob ? resolve(blob) : reject(new Error("this browser could not make a PNG"))),
      "image/png",
    ),
  );
}

function paintAll(
  pen: CanvasRenderingContext2D,
  figures: HTMLElement[],
  title: string,
  lines: readonly string[],
  foot: string,
  height: number,
): number {
  const [back, ink, muted, faint] = ["--bg", "--text", "--muted", "--faint"].map(cssColor);
  pen.setTransform(2, 0, 0, 2, 0, 0);
  pen.fillStyle = back!;
  pen.fillRect(0, 0, WIDTH, height);
  const write = (text: string, x: number, y: number, font: string, color: string) => {
    pen.font = `${font} system-ui, sans-serif`;
    pen.fillStyle = color;
    pen.textAlign = "left";
    pen.textBaseline = "alphabetic";
    pen.fillText(text, x, y);
    return pen.measureText(text).width;
  };
  let y = PAD + 22;
  write(title, PAD, y, "650 24px", ink!);
  for (const line of lines) write(line, PAD, (y += 26), "16px", muted!);
  for (const figure of figures) {
    y += 44;
    write(figure.dataset.figure!, PAD, y, "600 17px", ink!);
    y += 12;
    for (const part of figure.querySelectorAll<SVGSVGElement | HTMLCanvasElement | HTMLElement>(
      "svg[viewBox], canvas, h3, .legend",
    )) {
      if (part.closest("button")) continue;
      if (part.tagName === "H3") write(words(part), PAD, (y += 26), "600 14px", ink!);
      else if (part.classList.contains("legend")) y = paintLegend(pen, part, y + 20, muted!, write);
      else y = paintDrawing(pen, part as SVGSVGElement | HTMLCanvasElement, y) + 4;
    }
  }
  y += 40;
  write(foot, PAD, y, "13px", faint!);
  return Math.ceil(y + PAD);
}

const words = (element: Element): string => ((element as HTMLElement).innerText ?? "").replace(/\s+/g, " ").trim();

function paintDrawing(pen: CanvasRenderingContext2D, drawing: SVGSVGElement | HTMLCanvasElement, y: number): number {
  const box = drawing.getBoundingClientRect();
  if (box.width === 0 || box.height === 0) return y;
  const scale = Math.min(1.6, (WIDTH - 2 * PAD) / box.width);
  pen.save();
  pen.translate(PAD, y);
  pen.scale(scale, scale);
  if (drawing instanceof HTMLCanvasElement) pen.drawImage(drawing, 0, 0, box.width, box.height);
  else paintSvg(pen, drawing);
  pen.restore();
  return y + box.height * scale;
}

/** A legend's items in lines; the y of the last. */
function paintLegend(
  pen: CanvasRenderingContext2D,
  legend: Element,
  top: number,
  color: string,
  write: (text: string, x: number, y: number, font: string, color: string) => number,
): number {
  let [x, y] = [PAD, top];
  for (const item of legend.querySelectorAll("li")) {
    const text = words(item);
    pen.font = "14px system-ui, sans-serif";
    const wide = pen.measureText(text).width + 40;
    if (x + wide > WIDTH - PAD && x > PAD) {
      x = PAD;
      y += 22;
    }
    const mark = item.querySelector("i");
    if (mark) {
      const style = getComputedStyle(mark);
      const flat = mark.clientHeight === 0;
      pen.fillStyle = style.backgroundColor;
      if (!flat) pen.fillRect(x, y - 10, 11, 11);
      if (parseFloat(style.borderTopWidth) > 0) {
        pen.strokeStyle = style.borderTopColor;
        pen.lineWidth = 1.5;
        pen.setLineDash(flat ? [4, 3] : []);
        pen.beginPath();
        if (flat) {
          pen.moveTo(x, y - 4);
          pen.lineTo(x + 13, y - 4);
        } else pen.rect(x, y - 10, 11, 11);
        pen.stroke();
        pen.setLineDash([]);
      }
    }
    write(text, x + 18, y, "14px", color);
    x += wide;
  }
  return y;
}

function paintSvg(pen: CanvasRenderingContext2D, svg: SVGSVGElement): void {
  for (const node of svg.querySelectorAll<SVGElement>("rect, line, circle, path, text")) {
    const style = getComputedStyle(node);
    if (style.display === "none" || style.visibility === "hidden") continue;
    const value = (name: string) => Number(node.getAttribute(name) ?? 0);
    pen.globalAlpha = Number(style.opacity);
    if (node.tagName === "text") {
      pen.font = `${style.fontWeight} ${style.fontSize} system-ui, sans-serif`;
      pen.textAlign =
        ({ middle: "center", end: "right" } as Record<string, CanvasTextAlign>)[
          node.getAttribute("text-anchor") ?? ""
        ] ?? "left";
      pen.textBaseline = "alphabetic";
      pen.fillStyle = style.fill;
      pen.fillText(node.textContent ?? "", value("x"), value("y"));
      continue;
    }
    const path = new Path2D(node.tagName === "path" ? (node.getAttribute("d") ?? "") : undefined);
    if (node.tagName === "rect") path.roundRect(value("x"), value("y"), value("width"), value("height"), value("rx"));
    else if (node.tagName === "circle") path.arc(value("cx"), value("cy"), value("r"), 0, 2 * Math.PI);
    else if (node.tagName === "line") {
      path.moveTo(value("x1"), value("y1"));
      path.lineTo(value("x2"), value("y2"));
    }
    if (style.fill !== "none" && node.tagName !== "line") {
      pen.fillStyle = style.fill;
      pen.globalAlpha = Number(style.opacity) * Number(style.fillOpacity);
      pen.fill(path);
    }
    if (style.stroke !== "none" && parseFloat(style.strokeWidth) > 0) {
      pen.strokeStyle = style.stroke;
      pen.lineWidth = parseFloat(style.strokeWidth);
      pen.setLineDash(style.strokeDasharray === "none" ? [] : style.strokeDasharray.split(/[\s,]+/).map(parseFloat));
      pen.globalAlpha = Number(style.opacity) * Number(style.strokeOpacity);
      pen.stroke(path);
      pen.setLineDash([]);
    }
  }
  pen.globalAlpha = 1;
}
