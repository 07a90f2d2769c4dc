/** The generation of a catalog that nobody else has open, such as a copy that was just made. */
import Database from 'better-sqlite3';

/** Reads it; undefined where the catalog cannot be read. */
export function readGeneration(file: string): number | undefined {
  try {
    const database = new Database(file, { fileMustExist: true });
    try {
      const value: unknown = database.prepare('SELECT generation FROM store').pluck().get();
      return typeof value === 'number' ? value : undefined;
    } finally {
      database.close();
    }
  } catch {
    return undefined;
  }
}
