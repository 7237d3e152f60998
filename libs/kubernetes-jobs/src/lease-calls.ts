// Leases of a namespace, by the API.
import { CoordinationV1Api, V1MicroTime, type V1Lease } from '@kubernetes/client-node';
import { connectApi, orNull, type ApiOptions } from './api-calls.js';
import type { LeaseCalls, LeaseChange, LeaseState } from './lease.js';

/** Makes the calls. Each may reject with UNAVAILABLE, PERMISSION_DENIED or UNAUTHENTICATED. */
export function createLeaseCalls(options: ApiOptions): LeaseCalls {
  const { namespace } = options;
  const { config, call } = connectApi(options);
  const coordination = config.makeApiClient(CoordinationV1Api);
  const bodyOf = (name: string, lease: LeaseChange, resourceVersion?: string): V1Lease => ({
    apiVersion: 'coordination.k8s.io/v1',
    kind: 'Lease',
    metadata: { name, namespace, ...(resourceVersion !== undefined && { resourceVersion }) },
    spec: {
      // The API has no empty name: nobody's is absent.
      ...(lease.holder !== '' && { holderIdentity: lease.holder }),
      leaseDurationSeconds: Math.ceil(lease.durationMs / 1000),
      leaseTransitions: lease.transitions,
      acquireTime: new V1MicroTime(lease.acquireTime),
      renewTime: new V1MicroTime(),
    },
  });
  return {
    async read(name) {
      const found = await orNull(() =>
        call(`get lease ${name}`, () => coordination.readNamespacedLease({ namespace, name })),
      );
      return found === null ? null : stateOf(found);
    },
    create: async (name, lease) =>
      stateOf(
        await call(`create lease ${name}`, () =>
          coordination.createNamespacedLease({ namespace, body: bodyOf(name, lease) }),
        ),
      ),
    async replace(name, { resourceVersion }, lease) {
      const body = bodyOf(name, lease, resourceVersion);
      return stateOf(
        await call(`replace lease ${name}`, () => coordination.replaceNamespacedLease({ namespace, name, body })),
      );
    },
  };
}

function stateOf({ metadata, spec }: V1Lease): LeaseState {
  return {
    resourceVersion: metadata?.resourceVersion ?? '',
    holder: spec?.holderIdentity ?? '',
    durationMs: (spec?.leaseDurationSeconds ?? 0) * 1000,
    transitions: spec?.leaseTransitions ?? 0,
    acquireTime: new Date(spec?.acquireTime ?? 0),
  };
}
