/**
 * Lets Node run TypeScript from src, in worker threads too: `node --import` of tsx itself registers
 * for the main thread only. For tests and scripts of this repository; what is published is built.
 */
import { register } from 'tsx/esm/api';

register();
