/**
 * Labels of a checkpoint, from the configuration that engines put into their archives: names as
 * in the annotations that checkpoint tools have published.
 *
 * The input is whatever JSON an archive holds. What is missing, or of another type than expected,
 * gives no label; nothing here fails.
 */
import type { Files } from '../files/files.ts';
import { shapeOf } from './json-shape.ts';
import { LABEL_SOURCE_BYTES_MAX, LABEL_SOURCE_SHAPE } from './limits.ts';
import { readSpilled } from './spill.ts';
import type { SourceNode } from '../tree/entry.ts';

/** Bytes of a value; longer ones are cut. */
export const LABEL_BYTES_MAX = 4096;

const PREFIX = 'org.criu.checkpoint.';

/** The label that names the engine. */
export const ENGINE_LABEL: string = `${PREFIX}engine.name`;

/** Keys of libpod's and CRI-O's `config.dump`, for each label in order of preference. */
const FROM_CONFIG: Readonly<Record<string, readonly string[]>> = {
  'container.name': ['name'],
  'container.id': ['id'],
  'pod.id': ['pod'],
  rootfsImageName: ['rootfsImageName'],
  rootfsImageID: ['rootfsImageID', 'rootfsImageRef'],
  rootfsImageUserRequested: ['rootfsImage'],
  rawImageName: ['rawImageName', 'RawImageName'],
  'runtime.name': ['runtime', 'ociRuntime'],
};

/** Annotations in `spec.dump`, for each label in order of preference. */
const FROM_ANNOTATIONS: Readonly<Record<string, readonly string[]>> = {
  'container.name': [
    'io.kubernetes.container.name',
    'io.kubernetes.cri.container-name',
    'io.kubernetes.cri-o.ContainerName',
  ],
  'container.id': ['io.kubernetes.cri-o.ContainerID'],
  'pod.name': ['io.kubernetes.pod.name', 'io.kubernetes.cri.sandbox-name'],
  'pod.namespace': ['io.kubernetes.pod.namespace', 'io.kubernetes.cri.sandbox-namespace'],
  'pod.uid': ['io.kubernetes.pod.uid', 'io.kubernetes.cri.sandbox-uid'],
  'pod.id': ['io.kubernetes.cri-o.SandboxID', 'io.kubernetes.cri.sandbox-id'],
  rootfsImageName: ['io.kubernetes.cri-o.ImageName', 'io.kubernetes.cri.image-name'],
  rootfsImageID: ['io.kubernetes.cri-o.ImageRef'],
};

/** Labels from the parsed contents of `config.dump` and `spec.dump`. */
export function labelsOf(config: unknown, spec: unknown): Record<string, string> {
  const labels: Record<string, string> = {};
  const annotations = propertyOf(spec, 'annotations');
  // Kubernetes knows a container by another name than its runtime does.
  collect(labels, annotations, FROM_ANNOTATIONS);
  collect(labels, config, FROM_CONFIG);
  collectPublished(labels, annotations);
  return labels;
}

/** Reads both files where they were spilled. */
export function readLabels(
  files: Files,
  config: SourceNode | undefined,
  spec: SourceNode | undefined,
): Record<string, string> {
  return labelsOf(readJson(files, config), readJson(files, spec));
}

function readJson(files: Files, node: SourceNode | undefined): unknown {
  if (node?.content === undefined || node.sizeBytes > LABEL_SOURCE_BYTES_MAX) return undefined;
  const bytes = readSpilled(files, node.content, node.sizeBytes);
  const { values, depth } = shapeOf(bytes);
  if (values > LABEL_SOURCE_SHAPE.values || depth > LABEL_SOURCE_SHAPE.depth) return undefined;
  try {
    return JSON.parse(new TextDecoder().decode(bytes)) as unknown;
  } catch {
    return undefined;
  }
}

function collect(
  labels: Record<string, string>,
  source: unknown,
  table: Readonly<Record<string, readonly string[]>>,
): void {
  for (const [label, keys] of Object.entries(table)) {
    for (const key of keys) addLabel(labels, PREFIX + label, propertyOf(source, key));
  }
}

/** Annotations that are labels already, which a restored container may have kept. */
function collectPublished(labels: Record<string, string>, annotations: unknown): void {
  for (const name of PUBLISHED) addLabel(labels, name, propertyOf(annotations, name));
}

const PUBLISHED: readonly string[] = [
  ...['engine.name', 'engine.version', 'container.name', 'pod.name', 'pod.id', 'pod.namespace'],
  ...['pod.uid', 'rootfsImageName', 'rootfsImageUserRequested', 'rootfsImageSha'],
  ...['rootfsImageID', 'rawImageName', 'runtime.name', 'runtime.version', 'criu.version'],
  ...['conmon.version', 'host.arch', 'host.kernel', 'cgroup.version'],
  ...['distribution.name', 'distribution.version'],
].map((name) => PREFIX + name);

function addLabel(labels: Record<string, string>, name: string, value: unknown): void {
  if (typeof value !== 'string' || value === '' || labels[name] !== undefined) return;
  labels[name] = cut(value);
}

function cut(value: string): string {
  // Characters that a cut has gone through do not come back as replacement characters.
  const bytes = new TextEncoder().encode(value.slice(0, LABEL_BYTES_MAX));
  if (bytes.length <= LABEL_BYTES_MAX) return value.slice(0, LABEL_BYTES_MAX).toWellFormed();
  const decoder = new TextDecoder();
  return decoder.decode(bytes.subarray(0, LABEL_BYTES_MAX), { stream: true });
}

function propertyOf(value: unknown, key: string): unknown {
  if (typeof value !== 'object' || value === null || !Object.hasOwn(value, key)) return undefined;
  return (value as Readonly<Record<string, unknown>>)[key];
}
