// The programs of a control plane, built from their modules once a machine.
import { goProgram } from '@kindred/testing';

const names = ['etcd', 'kube-apiserver', 'kube-controller-manager', 'kube-scheduler', 'kubectl', 'kwok'] as const;

/** Paths of the programs. */
export type ControlPlanePrograms = Readonly<Record<(typeof names)[number], string>>;

/** The programs, built where they are missing (ten minutes); null, with a loud line, where they cannot be fetched. */
export async function controlPlanePrograms(): Promise<ControlPlanePrograms | null> {
  const paths: Record<string, string> = {};
  for (const name of names) {
    const path = await goProgram(name);
    if (path === null) return null;
    paths[name] = path;
  }
  return paths as ControlPlanePrograms;
}
