/**
 * Tells what an image file is from its first bytes.
 *
 * `inventory.img` starts with its type magic alone; every other image of CRIU 1.6 and later starts
 * with the common magic and then the type magic; statistics (without `.img`) start with the service
 * magic. Raw images (pages, tar archives, dumps of network tables) have no header, so their bytes
 * may start with anything, a magic included: their names decide. A type magic alone in front of
 * anything but the inventory is the format before 1.6. Several names share one type.
 */

/** Magic of `pagemap-*.img` and all other images but the inventory, before the type magic. */
export const COMMON_MAGIC = 0x54564319;

/** Magic of `stats-dump`, `stats-restore` and `irmap-cache`, before the type magic. */
export const SERVICE_MAGIC = 0x55105940;

/** The type magics, by CRIU's own names. PAGEMAP is also SHMEM_PAGEMAP, SIGNAL also PSIGNAL. */
export const TYPE_MAGICS = {
  INVENTORY: 0x58313116,
  PSTREE: 0x50273030,
  FDINFO: 0x56213732,
  PAGEMAP: 0x56084025,
  CORE: 0x55053847,
  IDS: 0x54432030,
  VMAS: 0x54123737,
  PIPES: 0x56513555,
  PIPES_DATA: 0x56453709,
  FIFO: 0x58364939,
  FIFO_DATA: 0x59333054,
  SIGACT: 0x55344201,
  UNIXSK: 0x54373943,
  INETSK: 0x56443851,
  PACKETSK: 0x60454618,
  ITIMERS: 0x57464056,
  POSIX_TIMERS: 0x52603957,
  SK_QUEUES: 0x56264026,
  UTSNS: 0x54473203,
  CREDS: 0x54023547,
  IPC_VAR: 0x53115007,
  IPCNS_SHM: 0x46283044,
  IPCNS_MSG: 0x55453737,
  IPCNS_SEM: 0x59573019,
  REG_FILES: 0x50363636,
  EXT_FILES: 0x59255641,
  FS: 0x51403912,
  MM: 0x57492820,
  REMAP_FPATH: 0x59133954,
  GHOST_FILE: 0x52583605,
  TCP_STREAM: 0x51465506,
  EVENTFD_FILE: 0x44523722,
  EVENTPOLL_FILE: 0x45023858,
  EVENTPOLL_TFD: 0x44433746,
  SIGNALFD: 0x57323820,
  INOTIFY_FILE: 0x48424431,
  INOTIFY_WD: 0x54562009,
  MNTS: 0x55563928,
  NETDEV: 0x57373951,
  NETNS: 0x55933752,
  TTY_FILES: 0x59433025,
  TTY_INFO: 0x59453036,
  TTY_DATA: 0x59413026,
  FILE_LOCKS: 0x54323616,
  RLIMIT: 0x57113925,
  FANOTIFY_FILE: 0x55096122,
  FANOTIFY_MARK: 0x56506035,
  SIGNAL: 0x59255647,
  NETLINK_SK: 0x58005614,
  NS_FILES: 0x61394011,
  TUNFILE: 0x57143751,
  CGROUP: 0x59383330,
  TIMERFD: 0x50493712,
  CPUINFO: 0x61404013,
  USERNS: 0x55474906,
  SECCOMP: 0x64413049,
  BINFMT_MISC: 0x67343323,
  AUTOFS: 0x49353943,
  FILES: 0x56303138,
  MEMFD_INODE: 0x48453499,
  TIMENS: 0x43114433,
  PIDNS: 0x61157326,
  BPFMAP_FILE: 0x57506142,
  BPFMAP_DATA: 0x64324033,
  APPARMOR: 0x59423047,
  PIDFD: 0x54435556,
  STATS: 0x57093306,
  IRMAP_CACHE: 0x57004059,
} as const;

/** The type of an image, by CRIU's own name. */
export type ImageType = keyof typeof TYPE_MAGICS;

/**
 * How an image is framed: `inventory` (one magic, current), `common` and `service` (two magics),
 * `legacy` (one magic, before CRIU 1.6), `raw` (no header that we know).
 */
export type ImageFormat = 'inventory' | 'common' | 'service' | 'legacy' | 'raw';

/** What the first bytes of an image say. */
export interface ImageKind {
  readonly format: ImageFormat;
  /** Undefined for raw images, and for a type magic that this version does not know. */
  readonly type: ImageType | undefined;
  readonly headerBytes: number;
}

const RAW_NAMES: ReadonlySet<string> = new Set([
  'pages',
  'ifaddr',
  'route',
  'route6',
  'rule',
  'iptables',
  'ip6tables',
  'nftables',
  'netns-ct',
  'netns-exp',
  'tmpfs',
  'tmpfs-dev',
]);

const TYPE_OF_MAGIC: ReadonlyMap<number, ImageType> = new Map(
  Object.entries(TYPE_MAGICS).map(([type, magic]) => [magic, type as ImageType]),
);

const RAW: ImageKind = { format: 'raw', type: undefined, headerBytes: 0 };

/**
 * Recognises an image by its first 8 bytes (fewer at the end of a short file) and, where it is
 * known, its name, which keeps memory that happens to start with a magic from being misread.
 */
export function recogniseImage(firstBytes: Uint8Array, name?: string): ImageKind {
  if (firstBytes.length < 4 || (name !== undefined && isRawName(name))) return RAW;
  const view = new DataView(firstBytes.buffer, firstBytes.byteOffset, firstBytes.byteLength);
  const first = view.getUint32(0, true);
  if (first === COMMON_MAGIC || first === SERVICE_MAGIC) {
    if (firstBytes.length < 8) return RAW;
    const type = TYPE_OF_MAGIC.get(view.getUint32(4, true));
    return { format: first === COMMON_MAGIC ? 'common' : 'service', type, headerBytes: 8 };
  }
  const type = TYPE_OF_MAGIC.get(first);
  if (type === undefined) return RAW;
  return { format: type === 'INVENTORY' ? 'inventory' : 'legacy', type, headerBytes: 4 };
}

/** Whether CRIU writes images of this name without a header, such as `pages-1.img`. */
export function isRawName(name: string): boolean {
  return RAW_NAMES.has(imageFamily(name));
}

/** Whether CRIU writes images of this name with a header that tells a type. */
export function isTypedName(name: string): boolean {
  const family = imageFamily(name).replace(/-(shmem|s|p)$/, '');
  return family.replaceAll('-', '_').toUpperCase() in TYPE_MAGICS;
}

/** The name without its number and suffixes: `tmpfs-dev` of `tmpfs-dev-52.tar.gz.img`. */
export function imageFamily(name: string): string {
  return name.replace(/(\.tar\.gz)?(\.img)?$/, '').replace(/-[0-9a-f]+$/, '');
}
