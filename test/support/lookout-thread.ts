/** A thread that helps a walk to look at files, for tests. */
import { parentPort, workerData } from 'node:worker_threads';
import { nodeFiles } from '../../src/files/node-files.ts';
import { serveLookout, type LookoutMemory } from '../../src/upper/lookout.ts';

parentPort?.postMessage('ready');
serveLookout(nodeFiles, workerData as LookoutMemory);
