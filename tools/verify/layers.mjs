// The arrows of the house as data: which layer may import which, and which library owns which outside package.

/** Allowed imports by layer, as `@nx/enforce-module-boundaries` reads them. ARCHITECTURE.md shows the same as a picture. */
export const depConstraints = [
  { sourceTag: 'layer:foundation', onlyDependOnLibsWithTags: ['layer:foundation'] },
  { sourceTag: 'layer:contract', onlyDependOnLibsWithTags: ['layer:foundation'] },
  { sourceTag: 'layer:domain', onlyDependOnLibsWithTags: ['layer:domain', 'layer:foundation'] },
  { sourceTag: 'layer:adapter', onlyDependOnLibsWithTags: ['layer:domain', 'layer:foundation'] },
  { sourceTag: 'layer:platform', onlyDependOnLibsWithTags: ['layer:contract', 'layer:foundation'] },
  {
    sourceTag: 'layer:service',
    onlyDependOnLibsWithTags: ['layer:platform', 'layer:adapter', 'layer:domain', 'layer:contract', 'layer:foundation'],
  },
  {
    sourceTag: 'layer:tool',
    onlyDependOnLibsWithTags: [
      'layer:tool',
      'layer:platform',
      'layer:adapter',
      'layer:domain',
      'layer:contract',
      'layer:foundation',
    ],
  },
];

/** Packages that exactly one library may import (CONTRIBUTING.md: "Walls"). */
export const walls = [
  wall('@tensorflow/tfjs-node-gpu', ['libs/tensorflow-native']),
  wall('faiss-node', ['libs/faiss-native']),
  wall('minio', ['libs/artifact-store']),
  wall('weaviate-client', ['libs/weaviate']),
  wall('@grpc/grpc-js', ['libs/service-runtime']),
  wall('nice-grpc', ['libs/service-runtime']),
  wall('@kubernetes/client-node', ['libs/kubernetes-jobs']),
];

function wall(name, owner) {
  return { name, owner, message: `Only ${owner.join(', ')} imports ${name}; use that library.` };
}
