// The compiled descriptors of proto/, which server reflection hands to tools such as grpcurl.
import { readFileSync } from 'node:fs';

/** Reads the serialized `google.protobuf.FileDescriptorSet` of all contracts; a bundle has it beside itself. */
export function readDescriptorSet(): Uint8Array {
  const fromSource = import.meta.url.endsWith('.ts');
  return readFileSync(new URL(fromSource ? './generated/descriptors.binpb' : './descriptors.binpb', import.meta.url));
}
