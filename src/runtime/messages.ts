/** ONNX Runtime's error texts, turned into ours: the graph, the node and its operator, then what is wrong. */

/** Why a graph could not be compiled. */
export function explainCompile(name: string, message: string): string {
  return `${name}: cannot compile the graph: ${message}`;
}

/** Why a run failed. */
export function explainRun(name: string, message: string): string {
  return `${name}: ${message}`;
}
