/**
 * How long after the fastest path sound is to be played: as long as the latest block of
 * the last half minute took, and a little more. It grows at once, and is forgotten slowly.
 */

export const START_MS = 60;
/** What a home network needs; elsewhere it is gone as soon as something is known. */
const FLOOR_MARGIN_MS = 5;
/** Above one block: it is all that waits just before the next one comes. */
export const CEILING_MS = 1000;
/** A server keeps no more than a second for a listener, so nothing comes later. */
const WINDOW_MS = 30_000;
const BIN_MS = 250;
const SHARE = 1.15;

export class TargetDelay {
  /** @param {number} blockMs how much sound comes at once */
  constructor(blockMs, nowMs) {
    this._blockMs = blockMs;
    this.reset(nowMs);
  }

  /** Forgets everything: what was seen came of another path. */
  reset(nowMs) {
    this._targetMs = START_MS;
    this._bins = [{ startMs: nowMs, worstMs: 0 }];
  }

  get targetMs() {
    return this._targetMs;
  }

  /** A block came `lateMs` after it would have come by the fastest path. */
  arrived(lateMs, nowMs) {
    const bins = this._bins;
    if (nowMs - bins.at(-1).startMs >= BIN_MS) {
      this._renew();
      bins.push({ startMs: nowMs, worstMs: 0 });
      while (bins[0].startMs <= nowMs - WINDOW_MS) bins.shift();
    }
    const bin = bins.at(-1);
    if (lateMs > bin.worstMs) {
      bin.worstMs = lateMs;
      this._targetMs = Math.max(this._targetMs, this._wantedMs(lateMs));
    }
  }

  _renew() {
    this._targetMs = this._wantedMs(Math.max(...this._bins.map((bin) => bin.worstMs)));
  }

  _wantedMs(worstMs) {
    return Math.min(CEILING_MS, this._blockMs + FLOOR_MARGIN_MS + worstMs * SHARE);
  }
}
