// Records the operations of one call as graph nodes, by standing between tfjs's backend and the native addon. Nothing
// that is large is computed: a recorded tensor has a shape and no values.
import { KindredError } from '@kindred/errors';
import { attribute, attributeTypes, dataTypes } from './native.js';
import { outputForms } from './shape-rules.js';
import { sizeOf } from './tensor-values.js';
import type { GraphNode } from './graph.js';
import type { DataType, NativeBackend, NativeBinding, OpAttribute, TensorMetadata, TensorValues } from './native.js';
import type { TensorForm } from './shape-rules.js';

/** Largest constant that a graph may hold, in bytes; what is larger should be an input, state, or made by operations. */
export const maxConstantBytes = 4096;

/** Bindings that record. */
const recordings = new WeakSet<NativeBinding>();

// Type attributes that tfjs leaves to TensorFlow's eager inference, by operation: the input each is the type of.
const inferredTypes: Readonly<Record<string, Readonly<Record<string, number>>>> = {
  ExpandDims: { T: 0 },
};

// Operations whose result is chance, or whose output sizes depend on values: a recording would freeze one draw, one size.
const unrecordable =
  /^(Random|StatelessRandom|Multinomial|StatelessMultinomial|Unique|Where$|NonMaxSuppression|BooleanMask)/;

/** A recording of one call. */
export interface Recorder {
  /** Nodes so far, in the order of execution; constants stand before their first use. */
  readonly nodes: GraphNode[];
  /** Makes a tensor without values that stands for output 0 of a node made elsewhere (a placeholder, a variable's value). */
  declare(reference: string, shape: readonly number[], dtype: DataType): TensorMetadata;
  /** The graph reference of tensor `id`; makes a constant of one that came from JavaScript. */
  referenceTo(id: number, user: string): string;
  /** Runs `action` with the backend's calls recorded. Not to be nested. */
  record<T>(action: () => T): T;
}

/** Starts a recording; all nodes are named `prefix/…`. */
export function createRecorder(backend: NativeBackend, prefix: string): Recorder {
  const binding = backend.binding;
  const nodes: GraphNode[] = [];
  const references = new Map<number, string>();
  const forms = new Map<number, TensorForm>();
  const constants = new Map<number, { shape: readonly number[]; dtype: number; values: TensorValues }>();

  const referenceTo = (id: number, user: string): string => {
    const known = references.get(id);
    if (known !== undefined) return known;
    const constant = constants.get(id);
    if (constant === undefined) return nowhere(user);
    const name = `${prefix}/constant_${nodes.length}`;
    const made = constantNodes(name, constant.shape, constant.dtype, constant.values, user);
    nodes.push(...made);
    references.set(id, name);
    return name;
  };

  let lastId = 0;
  /** A tensor without values. Its id is below 0: neither the addon nor tfjs's clean-up takes it for one of theirs. */
  const withoutValues = ({ shape, dtype }: TensorForm): TensorMetadata => {
    const id = --lastId;
    forms.set(id, { shape, dtype });
    return { id, shape, dtype };
  };

  const executeOp: NativeBinding['executeOp'] = (name, attributes, inputs, outputs) => {
    if (unrecordable.test(name)) {
      throw new KindredError(
        'FAILED_PRECONDITION',
        `operation ${name} cannot be recorded: it draws by chance or the size of its result depends on values; hand its result in as an input`,
      );
    }
    const given = inputs.map((id) => forms.get(id) ?? nowhere(name));
    const constant = (index: number): readonly number[] | null => {
      const made = constants.get(inputs[index] ?? 0);
      return made === undefined ? null : Array.from(made.values as ArrayLike<number>);
    };
    const results =
      outputForms(name, { attributes, inputs: given, constant }) ??
      runOnZeros(binding, name, attributes, { ids: inputs, forms: given }, outputs);
    const node = `${prefix}/${name}_${nodes.length}`;
    const sources = inputs.map((id) => referenceTo(id, name));
    const inferred = Object.entries(inferredTypes[name] ?? {})
      .filter(([key]) => !attributes.some((attribute) => attribute.name === key))
      .map(([key, index]) => ({ name: key, type: attributeTypes.type, value: given[index]?.dtype }));
    nodes.push({ name: node, op: name, attributes: [...attributes, ...inferred], inputs: sources, constant: null });
    return results.map((form, index) => {
      const made = withoutValues(form);
      references.set(made.id, index === 0 ? node : `${node}:${index}`);
      return made;
    });
  };

  const createTensor: NativeBinding['createTensor'] = (shape, dtype, values) => {
    const id = binding.createTensor(shape, dtype, values);
    constants.set(id, { shape: [...shape], dtype, values });
    forms.set(id, { shape: [...shape], dtype });
    return id;
  };

  const deleteTensor: NativeBinding['deleteTensor'] = (id) => {
    if (id >= 0) binding.deleteTensor(id);
  };

  // Kept, too: what reads by a promise may swallow it.
  let read: KindredError | null = null;
  const tensorDataSync: NativeBinding['tensorDataSync'] = () => {
    read = new KindredError(
      'FAILED_PRECONDITION',
      `a compiled function read a tensor's values (after ${nodes.at(-1)?.op ?? 'no operation'}); values exist only when it runs`,
    );
    throw read;
  };

  const recording = withFunctions(binding, { executeOp, createTensor, deleteTensor, tensorDataSync });

  return {
    nodes,
    declare: (reference, shape, dtype) => {
      const made = withoutValues({ shape, dtype: dataTypes[dtype] });
      references.set(made.id, reference);
      return made;
    },
    referenceTo,
    record: (action) => {
      if (recordings.has(backend.binding)) {
        throw new KindredError(
          'FAILED_PRECONDITION',
          'a function is compiled inside one that is being recorded; compile it before',
        );
      }
      recordings.add(recording);
      backend.binding = recording;
      try {
        const result = action();
        if (read !== null) throw read as KindredError;
        return result;
      } finally {
        backend.binding = binding;
      }
    },
  };
}

function nowhere(user: string): never {
  throw new KindredError(
    'FAILED_PRECONDITION',
    `operation ${user} reads a tensor that was made outside the compiled function; hand it in as an input or as state`,
  );
}

/** Runs an operation on zeros in place of tensors without values, to learn its outputs' forms. */
function runOnZeros(
  binding: NativeBinding,
  name: string,
  attributes: readonly OpAttribute[],
  inputs: { readonly ids: readonly number[]; readonly forms: readonly TensorForm[] },
  outputs: number,
): TensorForm[] {
  const made: number[] = [];
  const ids = inputs.forms.map(({ shape, dtype }, index) => {
    const id = inputs.ids[index] ?? -1;
    if (id >= 0) return id;
    const values = toTypedArray(new Array<number>(sizeOf(shape)).fill(0), dtype, name);
    const zeros = binding.createTensor(shape, dtype, values);
    made.push(zeros);
    return zeros;
  });
  try {
    const results = binding.executeOp(name, attributes, ids, outputs);
    made.push(...results.map(({ id }) => id));
    return results.map(({ shape, dtype }) => ({ shape, dtype }));
  } finally {
    made.forEach((id) => binding.deleteTensor(id));
  }
}

/** A copy of the addon's object with some functions replaced; the object itself is read-only. */
export function withFunctions(binding: NativeBinding, replaced: Partial<NativeBinding>): NativeBinding {
  const copy = Object.fromEntries(propertyNames(binding).map((key) => [key, Reflect.get(binding, key)]));
  return { ...copy, ...replaced } as unknown as NativeBinding;
}

function propertyNames(value: object): string[] {
  const names = new Set<string>();
  for (
    let level: object | null = value;
    level !== null && level !== Object.prototype;
    level = Reflect.getPrototypeOf(level)
  ) {
    Object.getOwnPropertyNames(level).forEach((name) => names.add(name));
  }
  names.delete('constructor');
  return [...names];
}

function constantNodes(
  name: string,
  shape: readonly number[],
  dtype: number,
  values: TensorValues,
  user: string,
): GraphNode[] {
  const numbers = toTypedArray(values, dtype, user);
  const bytes = new Uint8Array(numbers.buffer.slice(numbers.byteOffset, numbers.byteOffset + numbers.byteLength));
  if (numbers.length > 1 && numbers.every((value) => Object.is(value, numbers[0]))) {
    // tfjs makes its ones and zeros in JavaScript; in the graph they are made by an operation.
    const dims = new Int32Array(shape);
    return [
      constantNode(`${name}_shape`, [shape.length], dataTypes.int32, new Uint8Array(dims.buffer)),
      constantNode(`${name}_value`, [], dtype, bytes.slice(0, numbers.BYTES_PER_ELEMENT)),
      {
        name,
        op: 'Fill',
        attributes: [{ ...attribute.type('T', 'float32'), value: dtype }, attribute.type('index_type', 'int32')],
        inputs: [`${name}_shape`, `${name}_value`],
        constant: null,
      },
    ];
  }
  if (bytes.length > maxConstantBytes) {
    throw new KindredError(
      'FAILED_PRECONDITION',
      `operation ${user} uses a constant of ${bytes.length} bytes and shape [${shape.join(', ')}] made in JavaScript; allowed in a graph: ${maxConstantBytes}. Make it by operations, or hand it in`,
    );
  }
  return [constantNode(name, shape, dtype, bytes)];
}

function constantNode(name: string, shape: readonly number[], dtype: number, bytes: Uint8Array): GraphNode {
  return { name, op: 'Const', attributes: [], inputs: [], constant: { dtype, shape, bytes } };
}

function toTypedArray(values: TensorValues, dtype: number, user: string): Float32Array | Int32Array | Uint8Array {
  if (values instanceof Float32Array || values instanceof Int32Array || values instanceof Uint8Array) return values;
  const numbers = values.map(Number);
  if (dtype === dataTypes.float32) return Float32Array.from(numbers);
  if (dtype === dataTypes.int32) return Int32Array.from(numbers);
  if (dtype === dataTypes.bool || dtype === dataTypes.uint8) return Uint8Array.from(numbers);
  throw new KindredError(
    'UNIMPLEMENTED',
    `operation ${user} uses a constant of TensorFlow type ${dtype}; allowed: numbers and booleans`,
  );
}
