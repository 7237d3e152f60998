// L-BFGS (Nocedal and Wright 2006, algorithm 7.4) for smooth functions of many variables, in float64.

/** A function to minimise: returns its value at `x` and writes its gradient there into `gradient`. */
export type Objective = (x: Float64Array, gradient: Float64Array) => number;

/** When to stop. */
export interface LbfgsOptions {
  /** Converged once no part of the gradient is larger. */
  readonly gradientTolerance: number;
  /** Iterations at most. */
  readonly maxIterations: number;
  /** Pairs of steps and gradient changes kept. @default 10 */
  readonly memory?: number;
}

/** Where the search stands after an iteration. */
export interface LbfgsState {
  readonly value: number;
  readonly iterations: number;
  /** Calls of the objective. */
  readonly evaluations: number;
  /** Whether the gradient is within the tolerance, or float64 can show no further decrease. */
  readonly converged: boolean;
}

interface Pair {
  /** x_{k+1} - x_k. */
  readonly step: Float64Array;
  /** ∇f_{k+1} - ∇f_k. */
  readonly change: Float64Array;
  /** 1 / (step · change). */
  readonly rho: number;
}

/** Constants of the Wolfe conditions: Nocedal and Wright, section 3.1, for quasi-Newton directions. */
const sufficientDecrease = 1e-4;
const curvature = 0.9;
/** Halvings or doublings of a step; after so many it is too small for float64. */
const maxTrials = 40;

/**
 * Minimises `objective` from `x`, which is changed in place. Yields after each iteration and ends when converged or out of
 * iterations, so that the caller sets the pace: between two iterations it may look at other things or stop.
 */
export function* minimise(
  objective: Objective,
  x: Float64Array,
  { gradientTolerance, maxIterations, memory = 10 }: LbfgsOptions,
): Generator<LbfgsState, LbfgsState> {
  let gradient: Float64Array = new Float64Array(x.length);
  let value = objective(x, gradient);
  let evaluations = 1;
  const pairs: Pair[] = [];
  for (let iterations = 0; ; iterations++) {
    const state = { value, iterations, evaluations, converged: largest(gradient) <= gradientTolerance };
    if (state.converged || iterations >= maxIterations) return state;
    if (iterations > 0) yield state;

    const direction = searchDirection(gradient, pairs);
    // The first direction is the bare gradient: begin with a step of length 1 at most.
    const first = pairs.length > 0 ? 1 : Math.min(1, 1 / Math.sqrt(dot(gradient, gradient)));
    const found = lineSearch(objective, x, value, gradient, direction, first);
    evaluations += found.trials;
    if (found.point === null) return { value, iterations, evaluations, converged: true };
    const step = found.point.map((next, i) => next - x[i]!);
    const change = found.gradient.map((next, i) => next - gradient[i]!);
    pairs.push({ step, change, rho: 1 / dot(step, change) });
    if (pairs.length > memory) pairs.shift();
    x.set(found.point);
    ({ value, gradient } = found);
  }
}

/** -H·gradient by the two-loop recursion (algorithm 7.4), H scaled as in their equation 7.20. */
function searchDirection(gradient: Float64Array, pairs: readonly Pair[]): Float64Array {
  const direction = gradient.map((value) => -value);
  const alphas: number[] = [];
  for (const { step, change, rho } of pairs.toReversed()) {
    const alpha = rho * dot(step, direction);
    alphas.push(alpha);
    addScaled(direction, change, -alpha);
  }
  const last = pairs.at(-1);
  if (last !== undefined) {
    const scale = 1 / (last.rho * dot(last.change, last.change));
    for (let i = 0; i < direction.length; i++) direction[i] = direction[i]! * scale;
  }
  for (const { step, change, rho } of pairs) {
    addScaled(direction, step, (alphas.pop() ?? 0) - rho * dot(change, direction));
  }
  return direction;
}

/**
 * A point along `direction` that holds the weak Wolfe conditions, found by bisection (Lewis and Overton 2013, algorithm 2.6); they
 * make step · change positive. The point is null when no step decreases the function in float64.
 */
function lineSearch(
  objective: Objective,
  x: Float64Array,
  value: number,
  gradient: Float64Array,
  direction: Float64Array,
  first: number,
): { point: Float64Array | null; value: number; gradient: Float64Array; trials: number } {
  const slope = dot(gradient, direction);
  const point = new Float64Array(x.length);
  const pointGradient = new Float64Array(x.length);
  let [low, high, length] = [0, Infinity, first];
  for (let trials = 1; trials <= maxTrials; trials++) {
    for (let i = 0; i < x.length; i++) point[i] = x[i]! + length * direction[i]!;
    const pointValue = objective(point, pointGradient);
    if (!(pointValue <= value + sufficientDecrease * length * slope)) high = length;
    else if (dot(pointGradient, direction) < curvature * slope) low = length;
    else return { point, value: pointValue, gradient: pointGradient, trials };
    length = high === Infinity ? 2 * low : (low + high) / 2;
  }
  return { point: null, value, gradient, trials: maxTrials };
}

function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!;
  return sum;
}

function addScaled(target: Float64Array, x: Float64Array, factor: number): void {
  for (let i = 0; i < target.length; i++) target[i] = target[i]! + factor * x[i]!;
}

function largest(x: Float64Array): number {
  let result = 0;
  for (const value of x) result = Math.max(result, Math.abs(value));
  return result;
}
