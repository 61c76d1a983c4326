/** ONNX Runtime's error texts, turned into ours: the graph, the node and its operator, then what is wrong. */
import { nodesOf } from "./onnx-reader.ts";

/** Why a graph could not be compiled; `onnx` is the model, to find the node that a message leaves out. */
export function explainCompile(name: string, message: string, onnx: Uint8Array): string {
  const text = plain(message);
  let m: RegExpMatchArray | null;
  if ((m = text.match(/In Node, \("([^"]*)", (\S+), "([^"]*)", -?\d+\)[\s\S]*?, Error ([\s\S]*)/))) {
    const [, node, op, domain, what] = m as unknown as [string, string, string, string, string];
    if (/No Op registered|No opset import/.test(what)) return lacks(name, [node], op, domain, what);
    return `${name}: ${place([node], op)}: ${what}`;
  }
  if ((m = text.match(/([\w.]*):(\w+)\(-?\d+\) is not a registered function\/op/)))
    return lacks(name, nodesOf(onnx, m[2]!), m[2]!, m[1]!, "no such operator");
  if ((m = text.match(/Could not find an implementation for (\w+)\(\d+\) node with name '([^']*)'/)))
    return lacks(name, m[2] ? [m[2]] : nodesOf(onnx, m[1]!), m[1]!, "", "no kernel for these element types");
  if ((m = text.match(/Node \(([^)]*)\) Op \((\w+)\) (?:\[\w+\] )?([\s\S]*)/)))
    return `${name}: ${place([m[1]!], m[2]!)}: ${m[3]}`;
  if (/protobuf parsing failed|Model data pointer is null/.test(text))
    return `${name}: expected an ONNX model, got ${onnx.length} bytes of something else`;
  return `${name}: cannot compile: ${text}`;
}

/** Why a run failed. */
export function explainRun(name: string, message: string): string {
  const text = plain(message);
  const m = text.match(/while running (\w+) node\. Name:'([^']*)' Status Message: ([\s\S]*)/);
  return m ? `${name}: ${place([m[2]!], m[1]!)}: ${plain(m[3]!)}` : `${name}: ${text}`;
}

const lacks = (name: string, nodes: string[], op: string, domain: string, why: string): string =>
  `${name}: ${place(nodes, op)}: the runtime lacks operator ${domain && domain !== "ai.onnx" ? `${domain}.` : ""}${op} (${why})`;

const place = (nodes: string[], op: string): string =>
  `node ${nodes.map((node) => JSON.stringify(node)).join(", ")} (${op})`;

/** Drops what means nothing to a reader: source files and lines, C++ signatures, failed conditions, error codes. */
export function plain(message: string): string {
  return message
    .replace(/^\/\S+\.(?:cc|h):\d+ [^\n]*?\)(?: const)?(?: \[with [^\]]*\])?(?:::<lambda[^>]*>)? /, "")
    .replace(/^[\w.]+\.(?:cc|h):\d+ \S+ /, "")
    .replace(/^\[ONNXRuntimeError\] : \d+ : \w+ : /, "")
    .replace(/^[^\n]*? was false\. (?=\S)/, "")
    .replace(/\s*\n\s*/g, " ")
    .trim();
}
