/**
 * The way from the server to here: how late each block is against the fastest one of the
 * last seconds.
 */

import { SlidingMax } from "./sliding_max.js";

const FASTEST_WINDOW_MS = 10_000;
/** A path that has become longer is the new fastest after so long. */
const PAUSE_MS = 200;
const CAUGHT_UP_MS = 50;
const PATIENCE_MS = 500;
/**
 * After a pause the network brings what it held back, and catches up with its own line.
 * What has not after so long was held back by nobody: the source stood still, and goes on
 * on a line of its own.
 */

export class Path {
  constructor() {
    this._fastest = new SlidingMax(FASTEST_WINDOW_MS);
    this._lastMs = null;
    this._resumed = null;
  }

  /** Media ms minus local ms of the fastest block; undefined before the first one. */
  get leadMs() {
    return this._fastest.value;
  }

  /**
   * A block came.
   * @param {number} endMs the media time of its end
   * @returns {{lateMs: number, isNewLine: boolean}} against the fastest path, at least 0;
   *     and whether all that was known before is of no use any more
   */
  arrived(endMs, nowMs) {
    const leadMs = endMs - nowMs;
    if (this._lastMs !== null && nowMs - this._lastMs > PAUSE_MS) {
      this._resumed = { atMs: nowMs, bestMs: leadMs };
    }
    this._lastMs = nowMs;
    const isNewLine = this._hasNewLine(leadMs, nowMs);
    this._fastest.add(leadMs, nowMs);
    return { lateMs: this.leadMs - leadMs, isNewLine };
  }

  _hasNewLine(leadMs, nowMs) {
    const resumed = this._resumed;
    if (resumed === null) return false;
    resumed.bestMs = Math.max(resumed.bestMs, leadMs);
    if (resumed.bestMs > this.leadMs - CAUGHT_UP_MS) this._resumed = null;
    else if (nowMs - resumed.atMs > PATIENCE_MS) {
      this._resumed = null;
      this._fastest.clear();
      this._fastest.add(resumed.bestMs, nowMs);
      return true;
    }
    return false;
  }
}
