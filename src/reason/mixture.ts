/** Several tasks as one: for curricula, and for models that shall do more than one thing. */
import { hashText, Random } from "../data/index.ts";
import { ConfigError } from "../errors.ts";
import { type Problem, SPLITS, type Task } from "./task.ts";

/** A problem of one of the tasks, by its place among them. */
export interface MixedData {
  of: number;
  data: unknown;
}

/**
 * Draws each problem's task by its share (any positive numbers), independently of the others. Parts of all tasks are scored under their own
 * names; a part's weight is that of its own task. Throws ConfigError for no tasks or a share that is not over 0.
 */
export function mixture(tasks: readonly { task: Task; share: number }[]): Task<MixedData> {
  const total = tasks.reduce((sum, { share }) => sum + share, 0);
  const odd = tasks.find(({ share }) => !(share > 0 && Number.isFinite(share)));
  if (tasks.length === 0 || odd)
    throw new ConfigError(
      `mixture: expected tasks with shares over 0, got ${odd ? `${odd.task.name} ${odd.share}` : "none"}`,
    );
  const ofProblem = ({ data }: Problem<MixedData>): Task => {
    const mixed = tasks[data.of];
    if (!mixed)
      throw new ConfigError(`mixture: expected a problem of ${tasks.length} tasks, got one of task ${data.of}`);
    return mixed.task;
  };
  const inner = (problem: Problem<MixedData>): Problem => ({ ...problem, data: problem.data.data });
  const solvable = tasks.every(({ task }) => task.solve !== undefined);
  const name = tasks.map(({ task }) => task.name).join("+");
  return {
    name,
    about: tasks.map(({ task, share }) => `${Math.round((100 * share) / total)} % ${task.name}`).join(", "),
    weights: sharedWeights(tasks.map(({ task }) => task)),
    async problem(seed, split, index) {
      const random = new Random(hashText(name), seed, SPLITS.indexOf(split), index);
      let at = random.unit() * total;
      const of = Math.max(
        0,
        tasks.findIndex(({ share }) => (at -= share) < 0),
      );
      const problem = await tasks[of]!.task.problem(seed, split, index);
      return { ...problem, data: { of, data: problem.data }, facts: { ...problem.facts, task: tasks[of]!.task.name } };
    },
    score: (problem, reply) => ofProblem(problem).score(inner(problem), reply),
    answer: (problem, reply) => ofProblem(problem).answer(inner(problem), reply),
    same: (a, b) => tasks.some(({ task }) => task.same(a, b)),
    ...(solvable ? { solve: (problem, random, form) => ofProblem(problem).solve!(inner(problem), random, form) } : {}),
    close: async () => void (await Promise.all(tasks.map(({ task }) => task.close?.()))),
  };
}

/** Each part's weight. Throws ConfigError when two tasks weigh a part of one name differently. */
function sharedWeights(tasks: readonly Task[]): Record<string, number> {
  const weights: Record<string, number> = {};
  for (const task of tasks)
    for (const [part, weight] of Object.entries(task.weights)) {
      const other = weights[part];
      if (other !== undefined && other !== weight)
        throw new ConfigError(`mixture: expected one weight for ${part}, got ${other} and ${weight} (${task.name})`);
      weights[part] = weight;
    }
  return weights;
}
