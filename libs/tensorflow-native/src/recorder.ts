// Records the operations of one eager call as graph nodes, by standing between tfjs's backend and the native addon.
import { KindredError } from '@kindred/errors';
import { attribute, attributeTypes, dataTypes } from './native.js';
import type { GraphNode } from './graph.js';
import type { DataType, NativeBackend, NativeBinding, TensorMetadata, TensorValues } from './native.js';

/** Largest constant that a graph may hold, in bytes; what is larger should be an input, state, or made by operations. */
export const maxConstantBytes = 4096;

// Type attributes that tfjs leaves to TensorFlow's eager inference, by operation: the input each is the type of.
const inferredTypes: Readonly<Record<string, Readonly<Record<string, number>>>> = {
  ExpandDims: { T: 0 },
};

/** A recording of one call. */
export interface Recorder {
  /** Nodes so far, in the order of execution; constants stand before their first use. */
  readonly nodes: GraphNode[];
  /** Declares that tensor `id` is output 0 of a node made elsewhere (a placeholder, a variable's value). */
  declare(id: number, reference: string, dtype: DataType): void;
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
  const types = new Map<number, number>();
  const constants = new Map<number, { shape: readonly number[]; dtype: number; values: TensorValues }>();

  const referenceTo = (id: number, user: string): string => {
    const known = references.get(id);
    if (known !== undefined) return known;
    const constant = constants.get(id);
    if (constant === undefined) {
      throw new KindredError(
        'FAILED_PRECONDITION',
        `operation ${user} reads a tensor that was made outside the compiled function; hand it in as an input or as state`,
      );
    }
    const name = `${prefix}/constant_${id}`;
    const made = constantNodes(name, constant.shape, constant.dtype, constant.values, user);
    nodes.push(...made);
    references.set(id, name);
    return name;
  };

  const executeOp: NativeBinding['executeOp'] = (name, attributes, inputs, outputs) => {
    const result = binding.executeOp(name, attributes, inputs, outputs);
    const node = `${prefix}/${name}_${nodes.length}`;
    const sources = inputs.map((id) => referenceTo(id, name));
    const inferred = Object.entries(inferredTypes[name] ?? {})
      .filter(([key]) => !attributes.some((given) => given.name === key))
      .map(([key, index]) => ({ name: key, type: attributeTypes.type, value: types.get(inputs[index] ?? -1) }));
    nodes.push({ name: node, op: name, attributes: [...attributes, ...inferred], inputs: sources, constant: null });
    result.forEach(({ id, dtype }: TensorMetadata, index) => {
      references.set(id, index === 0 ? node : `${node}:${index}`);
      types.set(id, dtype);
    });
    return result;
  };

  const createTensor: NativeBinding['createTensor'] = (shape, dtype, values) => {
    const id = binding.createTensor(shape, dtype, values);
    constants.set(id, { shape: [...shape], dtype, values });
    types.set(id, dtype);
    return id;
  };

  const tensorDataSync: NativeBinding['tensorDataSync'] = () => {
    throw new KindredError(
      'FAILED_PRECONDITION',
      `a compiled function read a tensor's values (after ${nodes.at(-1)?.op ?? 'no operation'}); values exist only when it runs`,
    );
  };

  // The addon's own object is read-only, so the recording one is a copy of it.
  const copy = Object.fromEntries(propertyNames(binding).map((key) => [key, Reflect.get(binding, key)]));
  const recording = { ...copy, executeOp, createTensor, tensorDataSync } as unknown as NativeBinding;

  return {
    nodes,
    declare: (id, reference, dtype) => {
      references.set(id, reference);
      types.set(id, dataTypes[dtype]);
    },
    referenceTo,
    record: (action) => {
      backend.binding = recording;
      try {
        return action();
      } finally {
        backend.binding = binding;
      }
    },
  };
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
