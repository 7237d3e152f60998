// L-BFGS on functions whose minima are known.
import { describe, expect, it } from 'vitest';
import { minimise, type LbfgsState, type Objective } from './lbfgs.js';

/** Σ 100·(x_{i+1} - x_i²)² + (1 - x_i)²: a bent valley with its only minimum, 0, at all ones for 3 variables (Rosenbrock 1960). */
const rosenbrock: Objective = (x, gradient) => {
  gradient.fill(0);
  let value = 0;
  for (let i = 0; i + 1 < x.length; i++) {
    const [a, b] = [x[i] ?? 0, x[i + 1] ?? 0];
    value += 100 * (b - a * a) ** 2 + (1 - a) ** 2;
    gradient[i] = (gradient[i] ?? 0) - 400 * a * (b - a * a) - 2 * (1 - a);
    gradient[i + 1] = (gradient[i + 1] ?? 0) + 200 * (b - a * a);
  }
  return value;
};

describe('minimise', () => {
  it('finds the end of Rosenbrock’s valley', () => {
    const x = Float64Array.of(-1.2, 1, 1);
    const end = run(rosenbrock, x, 1e-9, 500);
    expect(end.converged).toBe(true);
    expect(end.iterations).toBeLessThan(100);
    for (const value of x) expect(value).toBeCloseTo(1, 8);
  });

  it('solves an ill-conditioned quadratic, and each iteration goes down', () => {
    const scales = Float64Array.from({ length: 40 }, (_, i) => 10 ** ((3 * i) / 40));
    const quadratic: Objective = (x, gradient) => {
      gradient.set(x.map((value, i) => (scales[i] ?? 0) * (value - i)));
      return x.reduce((sum, value, i) => sum + ((scales[i] ?? 0) * (value - i) ** 2) / 2, 0);
    };
    const x = new Float64Array(40);
    const values: number[] = [];
    const end = run(quadratic, x, 1e-7, 1000, values);
    expect(end.converged).toBe(true);
    // SciPy's L-BFGS-B takes 252 iterations from here to there, with as much memory.
    expect(end.iterations).toBeLessThan(1.1 * 252);
    x.forEach((value, i) => expect(value).toBeCloseTo(i, 6));
    expect(values.every((value, i) => i === 0 || value <= (values[i - 1] ?? 0))).toBe(true);
  });

  it('ends without converging when the iterations run out, and at once at a minimum', () => {
    expect(run(rosenbrock, Float64Array.of(-1.2, 1, 1), 1e-9, 3)).toMatchObject({ converged: false, iterations: 3 });
    expect(run(rosenbrock, Float64Array.of(1, 1), 1e-9, 3)).toMatchObject({ converged: true, evaluations: 1 });
  });

  it('ends when float64 shows no further decrease', () => {
    const end = run(rosenbrock, Float64Array.of(-1.2, 1), 0, 10_000);
    expect(end.value).toBeLessThan(1e-20);
    expect(end.iterations).toBeLessThan(1000);
  });
});

function run(
  objective: Objective,
  x: Float64Array,
  gradientTolerance: number,
  maxIterations: number,
  values: number[] = [],
): LbfgsState {
  const search = minimise(objective, x, { gradientTolerance, maxIterations });
  for (;;) {
    const { value, done } = search.next();
    values.push(value.value);
    if (done === true) return value;
  }
}
