/**
 * Where segments are: identity to pack, from the catalog, kept in memory (some 200 bytes for a
 * capture that added pages) and brought up to date before each operation.
 */
import { toHex } from '../bytes/hex.ts';
import type { Catalog } from '../catalog/catalog.ts';
import type { SegmentRow } from '../catalog/rows.ts';

/** Finds segments by identity. */
export class SegmentDirectory {
  readonly #catalog: Catalog;
  readonly #byIdentity = new Map<string, SegmentRow>();
  #lastNumber = 0;

  constructor(catalog: Catalog) {
    this.#catalog = catalog;
  }

  /** Reads what has been committed since the last time. */
  refresh(): void {
    for (const row of this.#catalog.segments(this.#lastNumber)) {
      this.#byIdentity.set(toHex(row.identity), row);
      this.#lastNumber = row.number;
    }
  }

  /** The segment with this identity, or undefined when the catalog does not know it. */
  find(identity: Uint8Array): SegmentRow | undefined {
    return this.#byIdentity.get(toHex(identity));
  }
}
