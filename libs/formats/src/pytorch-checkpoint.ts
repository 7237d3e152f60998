// PyTorch checkpoints (.pth, .pth.tar: the zip form of torch.save) without PyTorch: read without executing anything, and written.
import { KindredError } from '@kindred/errors';
import { damaged, unsupported } from './damage.js';
import { readPickle } from './pickle-reader.js';
import { isTensor, storageClasses } from './pickle-value.js';
import type { PickleKey, PickleValue } from './pickle-value.js';
import { writePickle } from './pickle-writer.js';
import { gatherStrided } from './strided.js';
import { bytesPerElement, elementBytes, elementCount, viewElements } from './tensor.js';
import type { NamedTensors, Tensor, TensorDataByDtype, TensorDtype } from './tensor.js';
import { readStoredZip, writeStoredZip } from './zip-archive.js';

const format = 'PyTorch checkpoint';
const orderedDict = 'collections.OrderedDict';
const rebuildTensor = 'torch._utils._rebuild_tensor_v2';
const rebuildParameter = 'torch._utils._rebuild_parameter';
const storageDtypes: ReadonlyMap<string, TensorDtype> = new Map(
  Object.entries(storageClasses).map(([dtype, name]) => [`torch.${name}`, dtype as TensorDtype] as const),
);
const allowed = new Set<string>([orderedDict, rebuildTensor, rebuildParameter, ...storageDtypes.keys()]);

/** A checkpoint as the reference trains them: `{model, optimizer, epoch}`, or a bare `state_dict` as its final model file is. */
export interface PytorchCheckpoint {
  /** Parameters and buffers by their `state_dict` name, in its order. */
  readonly model: NamedTensors;
  /** The optimizer's `state_dict`, where the file has one. */
  readonly optimizer?: PickleValue;
  /** The epoch to go on with, where the file has one. */
  readonly epoch?: number;
}

interface Storage {
  readonly dtype: TensorDtype;
  /** Made once: tensors are views of it, however many a pickle asks for. */
  readonly data: TensorDataByDtype[TensorDtype];
}

/**
 * Reads a checkpoint: a dict with `model` (or `state_dict`), or a bare dict of tensors. Errors as {@link readPytorchFile}.
 */
export function readPytorchCheckpoint(bytes: Uint8Array, name = 'checkpoint'): PytorchCheckpoint {
  const root = readPytorchFile(bytes, name);
  if (!(root instanceof Map)) throw unsupported(format, name, 'does not hold a dict');
  const dict = root as ReadonlyMap<PickleKey, PickleValue>;
  const nested = dict.get('model') ?? dict.get('state_dict');
  const entries = [...((nested instanceof Map ? nested : dict) as ReadonlyMap<PickleKey, PickleValue>)];
  const wrong = entries.find(([key, value]) => typeof key !== 'string' || !isTensor(value));
  if (wrong !== undefined) {
    throw unsupported(
      format,
      name,
      `item ${String(wrong[0])} is no tensor; allowed: {model, optimizer, epoch} or a state_dict`,
    );
  }
  const epoch = dict.get('epoch');
  return {
    model: new Map(entries as [string, Tensor][]),
    optimizer: nested === undefined ? undefined : dict.get('optimizer'),
    epoch: typeof epoch === 'number' ? epoch : undefined,
  };
}

/**
 * All that a PyTorch file holds. Only containers, numbers, text and tensors of the seven supported dtypes are built; any other
 * class or opcode is INVALID_ARGUMENT and named, damaged bytes are DATA_LOSS. Tensors are views of `bytes` where memory allows.
 */
export function readPytorchFile(bytes: Uint8Array, name = 'checkpoint'): PickleValue {
  const entries = readStoredZip(bytes, name);
  const pickleName = [...entries.keys()].find((key) => /^[^/]+\/data\.pkl$/.test(key));
  const pickle = pickleName === undefined ? undefined : entries.get(pickleName);
  if (pickleName === undefined || pickle === undefined) throw damaged(format, name, 'there is no data.pkl in it');
  const prefix = pickleName.slice(0, -'data.pkl'.length);
  const order = entries.get(`${prefix}byteorder`);
  if (order !== undefined && Buffer.from(order).toString('latin1') !== 'little') {
    throw unsupported(
      format,
      name,
      `got byte order ${JSON.stringify(Buffer.from(order).toString('latin1'))}; allowed: little`,
    );
  }
  const storages = new Map<string, Storage>();
  // A few bytes of pickle may ask for many copies of one large storage: all copies together stay within twice the file.
  const budget = { bytesLeft: 2 * bytes.length };
  const host = {
    allow: (global: string) => allowed.has(global),
    load: (id: unknown) => loadStorage(id, entries, prefix, storages, name),
    reduce: (global: string, args: readonly unknown[]) => {
      if (global === orderedDict && args.length === 0) return new Map();
      if (global === rebuildParameter && isTensor(args[0])) return args[0];
      if (global === rebuildTensor) return rebuild(args, budget, name);
      throw damaged(format, name, `calls ${global} with ${args.length} arguments that do not fit`);
    },
  };
  return readPickle(pickle, host, `${name}:${pickleName}`) as PickleValue;
}

/**
 * The file that `torch.save({'model': …, 'optimizer': …, 'epoch': …})` stands for: `torch.load(weights_only=True)` reads it.
 * Absent parts are left out. Same content, same bytes.
 */
export function writePytorchCheckpoint({ model, optimizer, epoch }: PytorchCheckpoint): Uint8Array {
  const root = new Map<PickleKey, PickleValue>();
  if (optimizer !== undefined) root.set('optimizer', optimizer);
  root.set('model', model);
  if (epoch !== undefined) root.set('epoch', epoch);
  return writePytorchFile(root);
}

/** A PyTorch file of any {@link PickleValue}; a Map of tensors alone is a bare `state_dict`. 4 GiB at most. */
export function writePytorchFile(value: PickleValue): Uint8Array {
  const { bytes, storages } = writePickle(value);
  const prefix = 'archive/';
  return writeStoredZip([
    { name: `${prefix}data.pkl`, data: bytes },
    { name: `${prefix}byteorder`, data: Buffer.from('little') },
    ...storages.map(({ data }, i) => ({ name: `${prefix}data/${i}`, data: elementBytes(data) })),
    { name: `${prefix}version`, data: Buffer.from('3\n') },
  ]);
}

function loadStorage(
  id: unknown,
  entries: ReadonlyMap<string, Uint8Array>,
  prefix: string,
  loaded: Map<string, Storage>,
  name: string,
): Storage {
  const [kind, type, key, , count] = Array.isArray(id) ? (id as unknown[]) : [];
  const className = (type as { global?: unknown } | undefined)?.global;
  const dtype = typeof className === 'string' ? storageDtypes.get(className) : undefined;
  if (kind !== 'storage' || dtype === undefined || typeof key !== 'string' || !Number.isSafeInteger(count)) {
    throw damaged(format, name, 'a persistent id is no (storage, class, key, location, count)');
  }
  const bytes = entries.get(`${prefix}data/${key}`);
  if (bytes === undefined) throw damaged(format, name, `storage ${key} is missing`);
  if (bytes.length !== (count as number) * bytesPerElement(dtype)) {
    throw damaged(
      format,
      name,
      `storage ${key}: got ${bytes.length} bytes for ${count as number} elements of ${dtype}`,
    );
  }
  const storage = loaded.get(key) ?? { dtype, data: viewElements(dtype, bytes, 0, count as number) };
  if (storage.dtype !== dtype)
    throw damaged(format, name, `storage ${key} is used as ${storage.dtype} and as ${dtype}`);
  loaded.set(key, storage);
  return storage;
}

function rebuild(args: readonly unknown[], budget: { bytesLeft: number }, name: string): Tensor {
  const [storage, offset, shape, strides] = args as [Storage, number, number[], number[]];
  const count = Array.isArray(shape) ? elementCount(shape) : null;
  const sound =
    typeof storage === 'object' &&
    storage !== null &&
    'data' in storage &&
    count !== null &&
    Array.isArray(strides) &&
    strides.length === shape.length &&
    elementCount([offset]) !== null &&
    strides.every((stride) => elementCount([stride]) !== null);
  if (!sound)
    throw damaged(format, name, '_rebuild_tensor_v2 has arguments that are no storage, offset, size and stride');
  const last =
    count === 0 ? offset - 1 : shape.reduce((at, length, i) => at + (length - 1) * (strides[i] ?? 0), offset);
  if (!(last < storage.data.length) || count > storage.data.length) {
    throw damaged(
      format,
      name,
      `a tensor [${shape.join(', ')}] at offset ${offset} lies outside its storage of ${storage.data.length} elements`,
    );
  }
  const { dtype, data } = storage;
  if (isRowMajor(shape, strides)) {
    const start = count === 0 ? 0 : offset;
    return { dtype, shape: [...shape], data: data.subarray(start, start + count) as typeof data };
  }
  budget.bytesLeft -= count * bytesPerElement(dtype);
  if (budget.bytesLeft < 0) {
    throw new KindredError(
      'RESOURCE_EXHAUSTED',
      `${name}: its strided tensors are together over twice as large as the file`,
    );
  }
  return { dtype, shape: [...shape], data: gatherStrided(data, offset, shape, strides) };
}

function isRowMajor(shape: readonly number[], strides: readonly number[]): boolean {
  let step = 1;
  for (let i = shape.length - 1; i >= 0; i--) {
    const length = shape[i] ?? 0;
    if (length === 0) return true;
    if (length !== 1 && strides[i] !== step) return false;
    step *= length;
  }
  return true;
}
