/** The name under which a collection has its health (`grpc.health.v1`). */
export function healthName(collection: string): string {
  return `collections/${collection}`;
}
