/** Plans of random histories: whatever happens to a tree, every snapshot has all of it. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { planModel, type FactsKept, type PlannedSnapshot } from '../support/planned-trees.ts';
import { edits, TreeModel } from '../support/tree-model.ts';

/** What happens between two captures, and what the second one knows. */
const rounds = fc.record({
  edits: fc.array(edits, { maxLength: 8 }),
  facts: fc.oneof(
    { weight: 5, arbitrary: fc.constant<FactsKept>('kept') },
    { weight: 1, arbitrary: fc.constantFrom<FactsKept>('none', 'foreign') },
  ),
  /** One path in so many is not settled. */
  unsettled: fc.integer({ min: 2, max: 20 }),
  isFirst: fc.nat(15).map((number) => number === 0),
});

describe('plans of a history', () => {
  it('keep every byte of every file, read what changed only, and leave addresses alone', () => {
    fc.assert(
      fc.property(fc.array(rounds, { minLength: 2, maxLength: 12 }), (history) => {
        const model = new TreeModel();
        let before: PlannedSnapshot | undefined;
        for (const { edits: changes, facts, unsettled, isFirst } of history) {
          for (const edit of changes) model.apply(edit);
          const isSettled = (path: string): boolean => (path.length * 7 + 3) % unsettled !== 0;
          before = planModel(model, isFirst ? undefined : before, facts, isSettled);
        }
        expect(before?.plan.pathCount).toBe(model.paths.size);
      }),
      { numRuns: 150 },
    );
  });
});
