/** ONNX Runtime's error texts, turned into ours: the graph, the node and its operator, then what is wrong. */

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
  if ((m = text.match(/Node \(([^)]*)\) Op \((\w+)\) (?:\[\w+\] )?([\s\S]*)/))) return `${name}: ${place([m[1]!], m[2]!)}: ${m[3]}`;
  if ((m = text.match(/External data path validation failed for initializer: (.+?)\. Error/)))
    return `${name}: expected a constant named ${JSON.stringify(m[1])} (the model declares it as external data), got none`;
  if ((m = text.match(/Failed to find existing initializer with name (.+?)\.?$/)))
    return `${name}: constant ${JSON.stringify(m[1])}: the model has no initializer of that name`;
  if (/Replacement tensor's/.test(text)) return `${name}: a constant does not fit its initializer: ${text}`;
  if (/protobuf parsing failed|Model data pointer is null/.test(text)) return `${name}: expected an ONNX model, got ${onnx.length} bytes of something else`;
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

const place = (nodes: string[], op: string): string => `node ${nodes.map((node) => JSON.stringify(node)).join(", ")} (${op})`;

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

/** Names of the nodes with that operator, in subgraphs too, read from the model's bytes. */
export function nodesOf(onnx: Uint8Array, op: string): string[] {
  const found: string[] = [];
  const decode = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);
  const graph = (bytes: Uint8Array): void => {
    for (const [field, node] of messages(bytes)) {
      if (field !== 1) continue;
      const fields = [...messages(node)];
      const text = (number: number): string => decode(fields.find(([f]) => f === number)?.[1] ?? new Uint8Array());
      if (text(4) === op) found.push(text(3));
      for (const [f, attribute] of fields)
        if (f === 5) for (const [g, sub] of messages(attribute)) if (g === 6) graph(sub);
    }
  };
  for (const [field, bytes] of messages(onnx)) if (field === 7) graph(bytes);
  return found;
}

/** The length-delimited fields of a protobuf message; stops at the first byte that makes no sense. */
function* messages(bytes: Uint8Array): Generator<[field: number, value: Uint8Array]> {
  let at = 0;
  const varint = (): number => {
    let value = 0;
    for (let scale = 1; at < bytes.length; scale *= 128) {
      const byte = bytes[at++]!;
      value += (byte & 127) * scale;
      if (byte < 128) break;
    }
    return value;
  };
  while (at < bytes.length) {
    const tag = varint();
    const wire = tag % 8;
    if (wire === 0) varint();
    else if (wire === 1) at += 8;
    else if (wire === 5) at += 4;
    else if (wire === 2) {
      const length = varint();
      if (at + length > bytes.length) return;
      yield [Math.floor(tag / 8), bytes.subarray(at, (at += length))];
    } else return;
  }
}
