/** The public surface of criu-timeline: named re-exports only. */
export { StoreError, type ErrorPlace, type StoreErrorCode } from './errors.ts';
export type { SnapshotKind } from './manifest/manifest.ts';
export type { ProcessDescription } from './criu/index.ts';
export type { Compression } from './archives/compression.ts';
export type { ArchiveLimits } from './archives/limits.ts';
export type { Skipped, SkippedPart } from './upper/skipped.ts';
export type { RetentionReason, RetentionRule } from './retention/candidates.ts';
export type {
  BucketsToKeep,
  LabelToKeep,
  RetentionPolicy,
  VersionGroups,
} from './retention/policy.ts';
export type { BackupReport } from './store/backup.ts';
export type { DamagedSource } from './store/backup-packs.ts';
export { HOST_FILES, type CaptureSource } from './store/capture-source.ts';
export type { CollectOptions, CollectReport } from './store/collect-options.ts';
export type { Damage, OperationOptions, Progress } from './store/context.ts';
export type { FilesDescription, ImageDescription, SnapshotDescription } from './store/describe.ts';
export type { ArchiveTarget, ExportOptions } from './store/export-archive.ts';
export type { ArchiveInput, ImportOptions } from './store/import-archive.ts';
export type { HostFile, RestoredFiles, RestoreFilesOptions } from './store/restore-files.ts';
export type { PrunedSnapshot, PruneOptions, PruneReport } from './store/prune.ts';
export type { Missing, MissingPages } from './store/missing-pages.ts';
export type { UnrepairedSpace } from './store/repair-evaluate.ts';
export type { HealedPack } from './store/repair-heal.ts';
export type { MisnamedPack } from './store/repair-names.ts';
export type { RenumberedSnapshot } from './store/repair-renumber.ts';
export type { RepairReport, SetAsidePack, UnrepairedSnapshot } from './store/repair-report.ts';
export type { RepairOptions } from './store/repair.ts';
export type { RestoreOptions, RestoreReport } from './store/restore.ts';
export { Snapshot, type SnapshotSizes } from './store/snapshot.ts';
export { SnapshotStore, type OpenOptions, type StoreStatistics } from './store/store.ts';
export { Timeline, type ListOptions } from './store/timeline.ts';
export type { DamagedPack, VerifyProblem } from './store/verify-findings.ts';
export type { VerifyLeftOut, VerifyLevel, VerifyOptions, VerifyReport } from './store/verify.ts';
export type { LostRange, LostSnapshot, LostSpace } from './store/verify-snapshots.ts';
