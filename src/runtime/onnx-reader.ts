/** Reads what little of an ONNX model this room wants to know, straight from its bytes (onnx.proto3 field numbers). */

const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);

/** Names of the nodes with that operator, in subgraphs too. */
export function nodesOf(onnx: Uint8Array, op: string): string[] {
  const found: string[] = [];
  const graph = (bytes: Uint8Array): void => {
    for (const node of all(bytes, 1)) {
      if (all(node, 4).some((type) => text(type) === op)) found.push(all(node, 3).map(text).join());
      for (const attribute of all(node, 5)) for (const subgraph of all(attribute, 6)) graph(subgraph);
    }
  };
  for (const bytes of all(onnx, 7)) graph(bytes);
  return found;
}

/** The graph's initializers whose data is declared external: name -> ONNX element type and dimensions. */
export function externalInitializers(onnx: Uint8Array): Map<string, { type: number; shape: number[] }> {
  const found = new Map<string, { type: number; shape: number[] }>();
  for (const graph of all(onnx, 7))
    for (const initializer of all(graph, 5)) {
      const shape: number[] = [];
      let name = "";
      let type = 0;
      let external = false;
      for (const [field, value] of fields(initializer)) {
        if (field === 1) shape.push(...(typeof value === "number" ? [value] : varints(value)));
        else if (field === 2) type = value as number;
        else if (field === 8) name = text(value as Uint8Array);
        else if (field === 14) external = value === 1;
      }
      if (external) found.set(name, { type, shape });
    }
  return found;
}

/** Every occurrence of a length-delimited field. */
function all(bytes: Uint8Array, wanted: number): Uint8Array[] {
  const found: Uint8Array[] = [];
  for (const [field, value] of fields(bytes)) if (field === wanted && typeof value !== "number") found.push(value);
  return found;
}

/** A protobuf message's varint and length-delimited fields; ends at the first byte that makes no sense. */
function* fields(bytes: Uint8Array): Generator<[field: number, value: number | Uint8Array]> {
  const reader = { bytes, at: 0 };
  while (reader.at < bytes.length) {
    const tag = varint(reader);
    const field = Math.floor(tag / 8);
    const wire = tag % 8;
    if (wire === 0) yield [field, varint(reader)];
    else if (wire === 1) reader.at += 8;
    else if (wire === 5) reader.at += 4;
    else if (wire === 2) {
      const length = varint(reader);
      if (reader.at + length > bytes.length) return;
      yield [field, bytes.subarray(reader.at, (reader.at += length))];
    } else return;
  }
}

function varints(bytes: Uint8Array): number[] {
  const reader = { bytes, at: 0 };
  const out: number[] = [];
  while (reader.at < bytes.length) out.push(varint(reader));
  return out;
}

function varint(reader: { bytes: Uint8Array; at: number }): number {
  let value = 0;
  for (let scale = 1; reader.at < reader.bytes.length; scale *= 128) {
    const byte = reader.bytes[reader.at++]!;
    value += (byte & 127) * scale;
    if (byte < 128) break;
  }
  return value;
}
