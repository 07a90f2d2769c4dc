/** A pack in the making: a file in staging with a writer on it, gone unless it is published. */
import { storageError } from '../errors.ts';
import { AppendFile } from '../files/append-file.ts';
import { PackWriter, type FinishedPack } from '../pack/writer.ts';
import { writableStaging, type StoreContext } from './context.ts';

/** A new pack in staging. */
export class StagedPack {
  readonly path: string;
  readonly writer: PackWriter;
  readonly #context: StoreContext;
  readonly #file: AppendFile;
  #isOpen = true;

  constructor(context: StoreContext) {
    this.#context = context;
    this.path = writableStaging(context).newPath('.pack');
    this.#file = attempt(this.path, () => new AppendFile(context.files, this.path));
    const sink = {
      write: (bytes: Uint8Array) => attempt(this.path, () => this.#file.write(bytes)),
    };
    this.writer = new PackWriter(sink, context.zstd);
  }

  /** Ends the pack and makes it durable. */
  seal(): FinishedPack {
    const pack = this.writer.finish();
    attempt(this.path, () => this.#file.seal());
    this.#closeFile();
    return pack;
  }

  #closeFile(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#file.close();
  }

  /** Takes the file away, after a failure. */
  discard(): void {
    try {
      this.#closeFile();
      this.#context.files.removeTree(this.path);
    } catch {
      // What failed first is what to report; closing the store clears its staging once more.
    }
  }
}

function attempt<T>(file: string, action: () => T): T {
  try {
    return action();
  } catch (cause) {
    throw storageError('write the pack', file, cause);
  }
}
