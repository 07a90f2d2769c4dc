/**
 * Snapshots that have the same place in a timeline. After an older copy of the catalog was put in
 * place of the newer one, captures get sequence numbers that snapshots have which only packs know:
 * all of them were acknowledged. The oldest one keeps its number; each other one gets the next that
 * is free, by a manifest that is written once more. Its digest stays: it is not about numbers.
 */
import { sha256 } from '#digest';
import { decodeManifest, encodeManifest } from '../manifest/manifest.ts';
import { placeOf, timelinesOf } from './repair-choose.ts';
import type { Candidate, Findings, StateBook } from './repair-choose.ts';
import type { RepairWork } from './repair-plan.ts';
import { scanPack, type ScannedPack } from './repair-scan.ts';
import { stagePack } from './repair-staged.ts';

/** A snapshot that has another number than before. */
export interface RenumberedSnapshot {
  readonly id: string;
  readonly timeline: string;
  readonly formerSequence: number;
  readonly sequence: number;
}

/** The same, and the pack with its new manifest. */
export interface Renumbering extends RenumberedSnapshot {
  readonly pack: ScannedPack;
}

/** Writes new manifests for snapshots whose places are taken: they become the first candidates. */
export async function renumber(
  work: RepairWork,
  findings: Findings,
  states: StateBook,
  candidates: Map<string, Candidate[]>,
): Promise<Renumbering[]> {
  const last = new Map(timelinesOf(findings).map((line) => [line.name, line.lastSequence]));
  const done: Renumbering[] = [];
  for (const id of withoutPlaces(candidates, states)) {
    const list = candidates.get(id) as Candidate[];
    const [newest] = list as [Candidate];
    const { timelineName: timeline, sequence: formerSequence } = newest.manifest.facts;
    const sequence = (last.get(timeline) as number) + 1;
    last.set(timeline, sequence);
    const pack = await writeManifest(work, newest, sequence);
    const [manifest] = pack.manifests;
    if (manifest === undefined) throw new Error('the pack that was written has no manifest');
    list.unshift({ manifest, pack });
    done.push({ id, timeline, formerSequence, sequence, pack });
  }
  return done;
}

/** Those whose places others have: of two, the one that is gone or, else, the later one. */
function withoutPlaces(
  candidates: ReadonlyMap<string, readonly Candidate[]>,
  states: StateBook,
): string[] {
  const taken = new Set<string>();
  const rank = (id: string) => `${states.of(id).gone ? 1 : 0}${id}`;
  return [...candidates.keys()]
    .sort((a, b) => (rank(a) < rank(b) ? -1 : 1))
    .filter((id) => {
      const place = placeOf(candidates.get(id)?.[0] as Candidate);
      const isTaken = taken.has(place);
      taken.add(place);
      return isTaken;
    });
}

async function writeManifest(
  work: RepairWork,
  { manifest: { facts }, pack }: Candidate,
  sequence: number,
): Promise<ScannedPack> {
  const reader = work.packs.reader(pack.name);
  const before = decodeManifest(reader.readManifest(facts.manifestDigest), reader.file);
  const manifest = { ...before, sequence, revision: before.revision + 1 };
  const bytes = encodeManifest(manifest);
  const name = await stagePack(work, async (writer) => {
    const parts = writer.addManifestParts({ ...manifest, digest: sha256(bytes), bytes });
    for (const _ of parts) await work.pacer.pause();
  });
  return await scanPack(work, name, false, work.pacer);
}
