// Types of go-programs.mjs for tools in TypeScript.

/** Programs that can be built. */
export type GoProgramName =
  | 'minio'
  | 'mc'
  | 'versitygw'
  | 'toxiproxy'
  | 'grpcurl'
  | 'ghz'
  | 'weaviate'
  | 'etcd'
  | 'kube-apiserver'
  | 'kube-scheduler'
  | 'kube-controller-manager'
  | 'kubectl'
  | 'kwok'
  | 'kustomize'
  | 'kubeconform'
  | 'kube-score';

/**
 * The path of a program's executable, built first where it is not cached (minutes for the largest, once a machine).
 * Rejects with an Error that says what to do.
 */
export function provisionGo(
  name: GoProgramName,
  options?: { readonly env?: NodeJS.ProcessEnv; readonly progress?: (words: string) => void },
): Promise<string>;
