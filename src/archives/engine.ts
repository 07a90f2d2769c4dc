/** Which container engine wrote an archive, as far as the names of its members tell. */

/** An engine that writes archives. */
export type Engine = 'podman' | 'cri-o' | 'containerd';

/** Members that only one engine writes; the first row that has one decides. */
const MARKS: readonly (readonly [Engine, readonly string[]])[] = [
  ['cri-o', ['io.kubernetes.cri-o.LogPath', 'bind.mounts']],
  ['containerd', ['status', 'status.dump', 'container.log']],
  ['podman', ['network.status', 'ctr.log', 'artifacts', 'devshm-checkpoint.tar', 'volumes']],
];

/** @param hasLayer whether the container's files are an OCI layer, as containerd writes them. */
export function engineOf(members: ReadonlySet<string>, hasLayer: boolean): Engine | undefined {
  for (const [engine, names] of MARKS) if (names.some((name) => members.has(name))) return engine;
  return hasLayer ? 'containerd' : undefined;
}
