/**
 * The fields of CRIU's protobuf messages, by number, as far as this library reads them.
 *
 * Fields left out are kept as unknown bytes by schema.ts; messages inside messages that nobody here
 * looks into are `bytes`. Texts are `bytes` throughout: the names of tasks and files need not be
 * UTF-8, and must survive. Enumerations are plain numbers, so that a value of a newer CRIU survives
 * too. All messages are proto2; repeated fields are not packed.
 */

/** Wire types in use: protobuf scalars, or the name of another message. */
export type FieldType = 'uint32' | 'int32' | 'sint32' | 'uint64' | 'sint64' | 'bool' | 'bytes';

/** Number, type, and whether it must be there or may be there many times. */
export type FieldRow = readonly [
  id: number,
  type: FieldType | (string & {}),
  rule?: 'required' | 'repeated',
];

/** The fields of one message, by name. */
export type FieldTable = Readonly<Record<string, FieldRow>>;

const required = (id: number, type: string): FieldRow => [id, type, 'required'];
const optional = (id: number, type: string): FieldRow => [id, type];
const repeated = (id: number, type: string): FieldRow => [id, type, 'repeated'];

type ProcessMessage =
  | 'pstree_entry'
  | 'task_kobj_ids_entry'
  | 'task_core_entry'
  | 'thread_core_entry'
  | 'core_entry'
  | 'fs_entry';

const processMessages: Record<ProcessMessage, FieldTable> = {
  pstree_entry: {
    pid: required(1, 'uint32'),
    ppid: required(2, 'uint32'),
    pgid: required(3, 'uint32'),
    sid: required(4, 'uint32'),
    threads: repeated(5, 'uint32'),
  },
  task_kobj_ids_entry: {
    vm_id: required(1, 'uint32'),
    files_id: required(2, 'uint32'),
    fs_id: required(3, 'uint32'),
    sighand_id: required(4, 'uint32'),
    pid_ns_id: optional(5, 'uint32'),
    net_ns_id: optional(6, 'uint32'),
    ipc_ns_id: optional(7, 'uint32'),
    uts_ns_id: optional(8, 'uint32'),
    mnt_ns_id: optional(9, 'uint32'),
    user_ns_id: optional(10, 'uint32'),
    cgroup_ns_id: optional(11, 'uint32'),
    time_ns_id: optional(12, 'uint32'),
  },
  task_core_entry: {
    task_state: required(1, 'uint32'),
    exit_code: required(2, 'uint32'),
    personality: required(3, 'uint32'),
    flags: required(4, 'uint32'),
    blk_sigset: required(5, 'uint64'),
    comm: required(6, 'bytes'),
    timers: optional(7, 'bytes'),
    rlimits: optional(8, 'bytes'),
    cg_set: optional(9, 'uint32'),
    signals_s: optional(10, 'bytes'),
    old_seccomp_mode: optional(11, 'uint32'),
    old_seccomp_filter: optional(12, 'uint32'),
    loginuid: optional(13, 'uint32'),
    oom_score_adj: optional(14, 'int32'),
    sigactions: repeated(15, 'bytes'),
    child_subreaper: optional(18, 'bool'),
    blk_sigset_extended: optional(20, 'uint64'),
    stop_signo: optional(21, 'uint32'),
  },
  thread_core_entry: {
    futex_rla: required(1, 'uint64'),
    futex_rla_len: required(2, 'uint32'),
    sched_nice: optional(3, 'sint32'),
    sched_policy: optional(4, 'uint32'),
    sched_prio: optional(5, 'uint32'),
    blk_sigset: optional(6, 'uint64'),
    sas: optional(7, 'bytes'),
    pdeath_sig: optional(8, 'uint32'),
    signals_p: optional(9, 'bytes'),
    creds: optional(10, 'bytes'),
    seccomp_mode: optional(11, 'uint32'),
    seccomp_filter: optional(12, 'uint32'),
    comm: optional(13, 'bytes'),
    blk_sigset_extended: optional(14, 'uint64'),
    rseq_entry: optional(15, 'bytes'),
    cg_set: optional(16, 'uint32'),
  },
  core_entry: {
    mtype: required(1, 'int32'),
    thread_info: optional(2, 'bytes'),
    tc: optional(3, 'task_core_entry'),
    ids: optional(4, 'task_kobj_ids_entry'),
    thread_core: optional(5, 'thread_core_entry'),
    ti_arm: optional(6, 'bytes'),
    ti_aarch64: optional(8, 'bytes'),
    ti_ppc64: optional(9, 'bytes'),
    ti_s390: optional(10, 'bytes'),
    ti_mips: optional(11, 'bytes'),
  },
  fs_entry: {
    cwd_id: required(1, 'uint32'),
    root_id: required(2, 'uint32'),
    umask: optional(3, 'uint32'),
  },
};

type MemoryMessage =
  'vma_entry' | 'mm_entry' | 'pagemap_head' | 'pagemap_entry' | 'memfd_inode_entry';

const memoryMessages: Record<MemoryMessage, FieldTable> = {
  vma_entry: {
    start: required(1, 'uint64'),
    end: required(2, 'uint64'),
    pgoff: required(3, 'uint64'),
    shmid: required(4, 'uint64'),
    prot: required(5, 'uint32'),
    flags: required(6, 'uint32'),
    status: required(7, 'uint32'),
    fd: required(8, 'sint64'),
    madv: optional(9, 'uint64'),
    fdflags: optional(10, 'uint32'),
  },
  mm_entry: {
    mm_start_code: required(1, 'uint64'),
    mm_end_code: required(2, 'uint64'),
    mm_start_data: required(3, 'uint64'),
    mm_end_data: required(4, 'uint64'),
    mm_start_stack: required(5, 'uint64'),
    mm_start_brk: required(6, 'uint64'),
    mm_brk: required(7, 'uint64'),
    mm_arg_start: required(8, 'uint64'),
    mm_arg_end: required(9, 'uint64'),
    mm_env_start: required(10, 'uint64'),
    mm_env_end: required(11, 'uint64'),
    exe_file_id: required(12, 'uint32'),
    mm_saved_auxv: repeated(13, 'uint64'),
    vmas: repeated(14, 'vma_entry'),
    dumpable: optional(15, 'int32'),
    thp_disabled: optional(17, 'bool'),
  },
  pagemap_head: { pages_id: required(1, 'uint32') },
  pagemap_entry: {
    vaddr: required(1, 'uint64'),
    compat_nr_pages: required(2, 'uint32'),
    in_parent: optional(3, 'bool'),
    flags: optional(4, 'uint32'),
    nr_pages: optional(5, 'uint64'),
  },
  memfd_inode_entry: {
    name: required(1, 'bytes'),
    uid: required(2, 'uint32'),
    gid: required(3, 'uint32'),
    size: required(4, 'uint64'),
    shmid: required(5, 'uint32'),
    seals: required(6, 'uint32'),
    inode_id: required(7, 'uint64'),
    mode: optional(9, 'uint32'),
  },
};

type FileMessage =
  | 'fown_entry'
  | 'reg_file_entry'
  | 'pipe_entry'
  | 'memfd_file_entry'
  | 'file_entry'
  | 'fdinfo_entry'
  | 'remap_file_path_entry'
  | 'timeval'
  | 'ghost_file_entry'
  | 'ghost_chunk_entry'
  | 'pipe_data_entry'
  | 'sk_packet_entry'
  | 'tcp_stream_entry'
  | 'bpfmap_data_entry';

const fileMessages: Record<FileMessage, FieldTable> = {
  fown_entry: {
    uid: required(1, 'uint32'),
    euid: required(2, 'uint32'),
    signum: required(3, 'uint32'),
    pid_type: required(4, 'uint32'),
    pid: required(5, 'uint32'),
  },
  reg_file_entry: {
    id: required(1, 'uint32'),
    flags: required(2, 'uint32'),
    pos: required(3, 'uint64'),
    fown: required(5, 'fown_entry'),
    name: required(6, 'bytes'),
    mnt_id: optional(7, 'sint32'),
    size: optional(8, 'uint64'),
    ext: optional(9, 'bool'),
    mode: optional(10, 'uint32'),
    build_id: repeated(11, 'uint32'),
    checksum: optional(12, 'uint32'),
    checksum_config: optional(13, 'uint32'),
    checksum_parameter: optional(14, 'uint32'),
  },
  pipe_entry: {
    id: required(1, 'uint32'),
    pipe_id: required(2, 'uint32'),
    flags: required(3, 'uint32'),
    fown: required(4, 'fown_entry'),
  },
  memfd_file_entry: {
    id: required(1, 'uint32'),
    flags: required(2, 'uint32'),
    pos: required(3, 'uint64'),
    fown: required(4, 'fown_entry'),
    inode_id: required(5, 'uint32'),
  },
  file_entry: {
    type: required(1, 'int32'),
    id: required(2, 'uint32'),
    reg: optional(3, 'reg_file_entry'),
    pipe: optional(18, 'pipe_entry'),
    memfd: optional(20, 'memfd_file_entry'),
  },
  fdinfo_entry: {
    id: required(1, 'uint32'),
    flags: required(2, 'uint32'),
    type: required(3, 'int32'),
    fd: required(4, 'uint32'),
    xattr_security_selinux: optional(5, 'bytes'),
  },
  remap_file_path_entry: {
    orig_id: required(1, 'uint32'),
    remap_id: required(2, 'uint32'),
    remap_type: optional(3, 'int32'),
  },
  timeval: { tv_sec: required(1, 'uint64'), tv_usec: required(2, 'uint64') },
  ghost_file_entry: {
    uid: required(1, 'uint32'),
    gid: required(2, 'uint32'),
    mode: required(3, 'uint32'),
    dev: optional(4, 'uint32'),
    ino: optional(5, 'uint64'),
    rdev: optional(6, 'uint32'),
    atim: optional(7, 'timeval'),
    mtim: optional(8, 'timeval'),
    chunks: optional(9, 'bool'),
    size: optional(10, 'uint64'),
  },
  ghost_chunk_entry: { len: required(1, 'uint64'), off: required(2, 'uint64') },
  pipe_data_entry: {
    pipe_id: required(1, 'uint32'),
    bytes: required(2, 'uint32'),
    size: optional(3, 'uint32'),
  },
  sk_packet_entry: { id_for: required(1, 'uint32'), length: required(2, 'uint32') },
  tcp_stream_entry: {
    inq_len: required(1, 'uint32'),
    inq_seq: required(2, 'uint32'),
    outq_len: required(3, 'uint32'),
    outq_seq: required(4, 'uint32'),
  },
  bpfmap_data_entry: {
    map_id: required(1, 'uint32'),
    keys_bytes: required(2, 'uint32'),
    values_bytes: required(3, 'uint32'),
    count: required(4, 'uint32'),
  },
};

type NamespaceMessage =
  | 'ipc_desc_entry'
  | 'ipc_sem_entry'
  | 'ipc_msg_entry'
  | 'ipc_msg'
  | 'ipc_shm_entry'
  | 'timespec'
  | 'timens_entry';

const namespaceMessages: Record<NamespaceMessage, FieldTable> = {
  ipc_desc_entry: {
    key: required(1, 'uint32'),
    uid: required(2, 'uint32'),
    gid: required(3, 'uint32'),
    cuid: required(4, 'uint32'),
    cgid: required(5, 'uint32'),
    mode: required(6, 'uint32'),
    id: required(7, 'uint32'),
  },
  ipc_sem_entry: { desc: required(1, 'ipc_desc_entry'), nsems: required(2, 'uint32') },
  ipc_msg_entry: {
    desc: required(1, 'ipc_desc_entry'),
    qbytes: required(2, 'uint32'),
    qnum: required(3, 'uint32'),
  },
  ipc_msg: { mtype: required(1, 'uint64'), msize: required(2, 'uint32') },
  ipc_shm_entry: {
    desc: required(1, 'ipc_desc_entry'),
    size: required(2, 'uint64'),
    in_pagemaps: optional(3, 'bool'),
  },
  timespec: { tv_sec: required(1, 'uint64'), tv_nsec: required(2, 'uint64') },
  timens_entry: { monotonic: required(1, 'timespec'), boottime: required(2, 'timespec') },
};

type RunMessage =
  'plugins_entry' | 'inventory_entry' | 'dump_stats_entry' | 'restore_stats_entry' | 'stats_entry';

const runMessages: Record<RunMessage, FieldTable> = {
  plugins_entry: { plugins: repeated(12, 'bytes') },
  inventory_entry: {
    img_version: required(1, 'uint32'),
    fdinfo_per_id: optional(2, 'bool'),
    root_ids: optional(3, 'task_kobj_ids_entry'),
    ns_per_id: optional(4, 'bool'),
    root_cg_set: optional(5, 'uint32'),
    lsmtype: optional(6, 'int32'),
    dump_uptime: optional(8, 'uint64'),
    pre_dump_mode: optional(9, 'uint32'),
    tcp_close: optional(10, 'bool'),
    network_lock_method: optional(11, 'uint32'),
    plugins_entry: optional(12, 'plugins_entry'),
    dump_criu_run_id: optional(13, 'bytes'),
    allow_uprobes: optional(14, 'bool'),
  },
  dump_stats_entry: {
    freezing_time: required(1, 'uint32'),
    frozen_time: required(2, 'uint32'),
    memdump_time: required(3, 'uint32'),
    memwrite_time: required(4, 'uint32'),
    pages_scanned: required(5, 'uint64'),
    pages_skipped_parent: required(6, 'uint64'),
    pages_written: required(7, 'uint64'),
    irmap_resolve: optional(8, 'uint32'),
    pages_lazy: required(9, 'uint64'),
    page_pipes: optional(10, 'uint64'),
    page_pipe_bufs: optional(11, 'uint64'),
    shpages_scanned: optional(12, 'uint64'),
    shpages_skipped_parent: optional(13, 'uint64'),
    shpages_written: optional(14, 'uint64'),
  },
  restore_stats_entry: {
    pages_compared: required(1, 'uint64'),
    pages_skipped_cow: required(2, 'uint64'),
    forking_time: required(3, 'uint32'),
    restore_time: required(4, 'uint32'),
    pages_restored: optional(5, 'uint64'),
  },
  stats_entry: {
    dump: optional(1, 'dump_stats_entry'),
    restore: optional(2, 'restore_stats_entry'),
  },
};

/** A message that this library can decode, by CRIU's own name. */
export type MessageType =
  ProcessMessage | MemoryMessage | FileMessage | NamespaceMessage | RunMessage;

/** All messages, by name. */
export const MESSAGES: Readonly<Record<MessageType, FieldTable>> = {
  ...processMessages,
  ...memoryMessages,
  ...fileMessages,
  ...namespaceMessages,
  ...runMessages,
};
