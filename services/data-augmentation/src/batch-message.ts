// How a batch becomes bytes: its pixels are copied once, into memory that is used again.
import { AugmentationServiceDefinition, StreamBatchesResponse } from '@kindred/protocol/augmentation';

const none = new Uint8Array(0);
/** Field 3, `images`, of wire type 2. */
const imagesTag = 26;

const lent = new WeakMap<Uint8Array, () => void>();

/** Has `giveBack` called as soon as the pixels `images` are in a message's bytes; nothing reads them any more then. */
export function onceCopied(images: Uint8Array, giveBack: () => void): void {
  lent.set(images, giveBack);
}

/**
 * The service's definition with answers of `StreamBatches` written by an encoder of its own. The generated writer grows by doubling, gives a copy
 * of what it wrote, and nice-grpc copies that again: 10 MB of garbage for 3 MB of pixels, for which V8 marked its whole heap at every other batch.
 */
export const augmentationDefinition: typeof AugmentationServiceDefinition = {
  ...AugmentationServiceDefinition,
  methods: {
    ...AugmentationServiceDefinition.methods,
    streamBatches: {
      ...AugmentationServiceDefinition.methods.streamBatches,
      responseType: { ...StreamBatchesResponse, encode: createBatchEncoder() },
    },
  },
};

/** An encoder whose result must be used before the next message is encoded: grpc-js copies it into its frame at once. */
function createBatchEncoder(): typeof StreamBatchesResponse.encode {
  let memory = new ArrayBuffer(0);
  return (message, writer) => {
    if (writer !== undefined) return StreamBatchesResponse.encode(message, writer);
    const { images, ...others } = message;
    const whole = StreamBatchesResponse.encode({ ...others, images: none });
    if (images.length === 0) return whole;
    // The order of fields says nothing in protobuf: what is small comes first, the pixels last.
    const head = whole.uint32(imagesTag).uint32(images.length).finish();
    const length = head.length + images.length;
    if (memory.byteLength !== length) memory = new ArrayBuffer(length);
    const bytes = new Uint8Array(memory);
    bytes.set(head);
    bytes.set(images, head.length);
    lent.get(images)?.();
    lent.delete(images);
    // Of an ArrayBuffer nice-grpc's `Buffer.from` makes a view, of an array a copy.
    whole.finish = () => memory as unknown as Uint8Array<ArrayBuffer>;
    return whole;
  };
}
