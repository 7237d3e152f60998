// Settings that are possible alone and impossible together.

/** Momentum where the file has none: PyTorch's for SGD, SimCLR's (§B.1) for LARS. */
export const defaultMomentum = { sgd: 0, lars: 0.9 } as const;

/** Of an experiment's keys, those that can contradict each other. */
export interface ContradictableSettings {
  readonly epochs: number;
  readonly batch_size: number;
  readonly accumulate_steps: number;
  readonly precision: 'float32' | 'bfloat16' | 'float16';
  readonly loss_scale?: number | undefined;
  readonly optimizer: 'sgd' | 'lars';
  readonly optimizer_kwargs: {
    readonly nesterov: boolean;
    readonly momentum?: number | undefined;
    readonly trust_coefficient?: number | undefined;
  };
  readonly scheduler_kwargs: {
    readonly warmup_epochs: number;
    readonly warmup_start_factor: number;
    readonly per_step: boolean;
  };
  readonly augmentation_kwargs: { readonly random_resized_crop: { readonly scale: readonly number[] } };
}

/** One of them: the key to change and what is allowed there. */
export interface Contradiction {
  readonly path: string[];
  readonly message: string;
}

/** All contradictions in an experiment. */
export function contradictionsIn(experiment: ContradictableSettings): Contradiction[] {
  return [cropScale, optimizer, warmUp, accumulation, lossScale].flatMap((check) => [...check(experiment)]);
}

function* cropScale({ augmentation_kwargs: { random_resized_crop: crop } }: ContradictableSettings) {
  const [low = 0, high = 0] = crop.scale;
  if (low <= high) return;
  yield {
    path: ['augmentation_kwargs', 'random_resized_crop', 'scale'],
    message: `got [${low},${high}]; allowed: two numbers above 0 to 1, the smaller first`,
  };
}

function* optimizer({ optimizer: kind, optimizer_kwargs: options }: ContradictableSettings) {
  const momentum = options.momentum ?? defaultMomentum[kind];
  if (options.nesterov && momentum === 0) {
    yield {
      path: ['optimizer_kwargs', 'nesterov'],
      message: 'got true with momentum 0; allowed: false, or a momentum above 0',
    };
  }
  if (kind === 'sgd' && options.trust_coefficient !== undefined) {
    yield {
      path: ['optimizer_kwargs', 'trust_coefficient'],
      message: `got ${options.trust_coefficient} with optimizer 'sgd'; allowed: only with 'lars'`,
    };
  }
}

function* warmUp({ epochs, scheduler_kwargs: options }: ContradictableSettings) {
  if (options.warmup_epochs >= epochs) {
    yield {
      path: ['scheduler_kwargs', 'warmup_epochs'],
      message: `got ${options.warmup_epochs}; allowed: below the ${epochs} epochs of the run`,
    };
  }
  if (options.warmup_epochs > 0 && options.warmup_start_factor === 0 && !options.per_step) {
    yield {
      path: ['scheduler_kwargs', 'warmup_start_factor'],
      message: 'got 0, with which the first epoch learns nothing; allowed: above 0, or 0 with per_step: true',
    };
  }
}

function* accumulation({ batch_size: batch, accumulate_steps: parts }: ContradictableSettings) {
  if (parts === 1 || (batch % parts === 0 && batch / parts >= 2)) return;
  yield {
    path: ['accumulate_steps'],
    message: `got ${parts}; allowed: a divisor of batch_size, ${batch}, that leaves parts of at least 2 images`,
  };
}

function* lossScale({ precision, loss_scale: scale }: ContradictableSettings) {
  if (scale === undefined || precision === 'float16') return;
  yield {
    path: ['loss_scale'],
    message: `got ${scale} with precision '${precision}'; allowed: only with 'float16'`,
  };
}
