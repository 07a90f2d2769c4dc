/** `prune`: marks what a policy does not keep as removed, and says why. */
import type { Command } from 'commander';
import type { PrunedSnapshot, PruneReport, RetentionReason, SnapshotStore } from '../index.ts';
import { chooseTimelines } from './list.ts';
import { addPolicyOptions, POLICY_HELP, policyOf, type PolicyOptions } from './policy-options.ts';
import { runOnStore, storeCommand, type StoreCommandOptions } from './store-command.ts';
import { count, formatBytes, formatTable, formatTime, printable, type Column } from './text.ts';

interface PruneCommandOptions extends StoreCommandOptions, PolicyOptions {
  readonly dryRun?: boolean;
}

const COLUMNS: readonly Column[] = [
  { title: 'SEQ', align: 'right' },
  { title: 'ID', align: 'left' },
  { title: 'TAKEN AT', align: 'left' },
  { title: 'KIND', align: 'left' },
  { title: 'STORED', align: 'right' },
  { title: 'FATE', align: 'left' },
  { title: 'BECAUSE', align: 'left' },
];

/** The command. */
export function pruneCommand(signal: AbortSignal): Command {
  const command = storeCommand('prune', 'mark as removed what no rule of a policy keeps')
    .argument('[timeline]', 'name of a timeline; each of all by itself without')
    .option('--dry-run', 'only say what would be removed');
  return addPolicyOptions(command)
    .addHelpText('after', POLICY_HELP)
    .action(async (name: string | undefined, options: PruneCommandOptions) => {
      const { dryRun = false } = options;
      const policy = policyOf(options);
      const prune = async (store: SnapshotStore) => {
        const timelines: PruneReport[] = [];
        for (const timeline of chooseTimelines(store, name)) {
          timelines.push(await timeline.prune(policy, { dryRun, signal }));
        }
        const lines = timelines.flatMap((report, index) => [
          ...(index === 0 ? [] : ['']),
          ...formatReport(report),
        ]);
        const document = { dryRun, timelines };
        return { document, lines: lines.length === 0 ? ['(no timelines)'] : lines };
      };
      await runOnStore(options, prune, { readOnly: dryRun });
    });
}

function formatReport(report: PruneReport): string[] {
  const { timeline, dryRun, kept, removed, overBudgetBytes } = report;
  const verb = dryRun ? 'would be removed' : 'removed';
  const rows = [
    ...kept.map((snapshot) => ({ snapshot, fate: 'kept' })),
    ...removed.map((snapshot) => ({ snapshot, fate: 'removed' })),
  ].sort((a, b) => a.snapshot.sequence - b.snapshot.sequence);
  const summary = `${count(removed.length, 'snapshot')} ${verb}, ${kept.length} kept`;
  const excess = `${formatBytes(overBudgetBytes)} more than --max-bytes are protected`;
  return [
    printable(timeline),
    ...formatTable(
      COLUMNS,
      rows.map(({ snapshot, fate }) => rowOf(snapshot, fate)),
    ),
    overBudgetBytes === 0 ? summary : `${summary}; ${excess}`,
  ];
}

function rowOf(snapshot: PrunedSnapshot, fate: string): string[] {
  const { sequence, id, takenAt, kind, storedBytes, reasons } = snapshot;
  return [
    String(sequence),
    id,
    formatTime(new Date(takenAt)),
    kind === 'pre-dump' ? kind : '',
    formatBytes(storedBytes),
    fate,
    reasons.map(reasonText).join('; '),
  ];
}

const RULE_TEXTS: Partial<Record<RetentionReason['rule'], string>> = {
  versionGroup: 'version group',
  preDump: 'pre-dump',
  unmatched: 'no rule keeps it',
  budget: 'over the size budget',
};

function reasonText({ rule, detail }: RetentionReason): string {
  const text = RULE_TEXTS[rule] ?? rule;
  return detail === undefined ? text : `${text} ${detail}`;
}
