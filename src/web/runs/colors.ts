/** Colours of curves and maps. */

/**
 * Colours of curves, told apart also by colour-blind eyes: Okabe and Ito's set (jfly.uni-koeln.de/color, 2008), its
 * yellow left out as it vanishes on white.
 */
export const CURVES = {
  light: ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9"],
  dark: ["#5ab4ea", "#ff8b45", "#35c99b", "#e6a0c4", "#f2b632", "#9fd6f7"],
};

type Rgb = [number, number, number];
const BLUE: Rgb[] = [
  [8, 48, 107],
  [33, 113, 181],
  [146, 197, 222],
];
const ORANGE: Rgb[] = [
  [253, 184, 99],
  [217, 95, 2],
  [127, 39, 4],
];
const EVEN: Record<"light" | "dark", Rgb> = { light: [245, 245, 242], dark: [58, 68, 75] };

/**
 * The colour of an expert's load: 1 (even) is neutral, idle goes to blue, busy to orange, full at 0 and 2. Blue and
 * orange stay apart under every common colour blindness, and both ends differ from the middle in lightness too.
 */
export function loadColor(load: number, theme: "light" | "dark"): Rgb {
  const off = Math.max(-1, Math.min(1, Number.isFinite(load) ? load - 1 : 0));
  // Balanced experts differ little: colours part faster near the mean than far from it.
  const at = 1 + Math.sign(off) * Math.abs(off) ** 0.75;
  const stops =
    theme === "light"
      ? [...BLUE, EVEN.light, ...ORANGE]
      : [
          lift(BLUE[2]!),
          lift(BLUE[1]!),
          mix(BLUE[1]!, EVEN.dark, 0.55),
          EVEN.dark,
          mix(ORANGE[1]!, EVEN.dark, 0.55),
          ORANGE[1],
          ORANGE[0],
        ];
  const place = (at / 2) * (stops.length - 1);
  const low = Math.min(stops.length - 2, Math.floor(place));
  return mix(stops[low]!, stops[low + 1]!, place - low);
}

const mix = (a: Rgb, b: Rgb, t: number): Rgb => [0, 1, 2].map((i) => Math.round(a[i]! + (b[i]! - a[i]!) * t)) as Rgb;
const lift = (color: Rgb): Rgb => mix(color, [255, 255, 255], 0.15);

/** A custom property's colour as the page shows it now, for canvases (which know no custom properties). */
export function cssColor(name: string): string {
  const probe = document.createElement("i");
  probe.style.color = `var(${name})`;
  document.body.append(probe);
  const color = getComputedStyle(probe).color;
  probe.remove();
  return color;
}
