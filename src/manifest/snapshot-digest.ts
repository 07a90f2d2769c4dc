/**
 * The digest of a snapshot: SHA-256 over its logical content in a canonical form (FORMAT.md,
 * section 4). It survives any rewriting of recipes and packs, and holds the parent's digest, so
 * that nobody can change the past of a timeline without changing the digest of its newest snapshot.
 */
import { DIGEST_BYTES, sha256 } from '#digest';
import { ByteWriter } from '../bytes/writer.ts';
import { rootOf } from './leaves.ts';
import { encodeAddresses, type Manifest, type ManifestEntry } from './manifest.ts';

const DOMAIN = new TextEncoder().encode('criu-timeline snapshot 1\n');

/** Computes the digest from a manifest. */
export function snapshotDigest(manifest: Manifest): Uint8Array {
  const writer = new ByteWriter(4096);
  writer.raw(DOMAIN);
  writer.u8(manifest.kind === 'restorable' ? 1 : 2);
  writer.u8(manifest.takenAtMs < 0 ? 1 : 0);
  writer.varint(Math.abs(manifest.takenAtMs));
  writer.varint(manifest.labels.length);
  for (const [key, value] of manifest.labels) {
    writer.text(key);
    writer.text(value);
  }
  writer.raw(manifest.parent?.digest ?? new Uint8Array(DIGEST_BYTES));
  writer.text(manifest.criuRunId ?? '');
  writer.varint(manifest.dumpPageBytes);
  writer.varint(manifest.directoryMode);
  writer.varint(manifest.entries.length);
  for (const entry of manifest.entries) addEntry(writer, entry);
  return sha256(writer.bytes());
}

function addEntry(writer: ByteWriter, { name, mode, content, role }: ManifestEntry): void {
  writer.u8(role === undefined ? (content === undefined ? 1 : 2) : role === 'tree' ? 3 : 4);
  writer.varint(mode);
  writer.byteString(name);
  if (content === undefined) return;
  writer.varint(content.sizeBytes);
  writer.raw(rootOf(content.sizeBytes, content.leaves));
  // Where memory lies, pagemap images say; which page is whose of a file's, only the addresses do.
  if (role !== undefined && content.addresses !== undefined) {
    encodeAddresses(writer, content.addresses);
  }
}
