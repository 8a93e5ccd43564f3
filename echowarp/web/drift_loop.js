/**
 * Holds the delay where it is meant to be while the server's clock and the sound card's
 * run apart: a critically damped PI loop, from an error in ms to a speed in ppm.
 */

const QUICK_MS = 30_000;
/** The loop is quick for so long, to catch the first offset. */
const QUICK_TAU_S = 5;
const CALM_TAU_S = 20;
const CLAMP_PPM = 1000;
const SLEW_PPM_A_S = 100;
const PPM_OF_MS_A_S = 1000;
/** One ms per second is so many ppm. */

export class DriftLoop {
  constructor(nowMs) {
    /** Play so much faster than the card's clock; negative for slower. */
    this.correctionPpm = 0;
    this._startedMs = nowMs;
    this._tickedMs = nowMs;
    this._integralPpm = 0;
    this._calmPpm = 0;
  }

  /**
   * To be called about once a second.
   * @param {number} errorMs how much more sound waits than is meant to
   */
  tick(errorMs, nowMs) {
    // A tick that comes late says nothing about the time in which none came.
    const elapsedS = Math.min(2, Math.max(0, nowMs - this._tickedMs) / 1000);
    this._tickedMs = nowMs;
    const tauS = nowMs - this._startedMs < QUICK_MS ? QUICK_TAU_S : CALM_TAU_S;
    const proportionalPpm = (errorMs * PPM_OF_MS_A_S) / tauS;
    const morePpm = (errorMs * PPM_OF_MS_A_S * elapsedS) / (4 * tauS * tauS);
    this._calmPpm = this._integralPpm;
    this._integralPpm = clamp(this._integralPpm + morePpm, CLAMP_PPM);
    const wantedPpm = clamp(proportionalPpm + this._integralPpm, CLAMP_PPM);
    const stepPpm = clamp(wantedPpm - this.correctionPpm, SLEW_PPM_A_S * elapsedS);
    this.correctionPpm += stepPpm;
  }

  /** The last error came of no clock, and has been dealt with: what it added is taken back. */
  forgive(nowMs) {
    this._tickedMs = nowMs;
    this._integralPpm = this._calmPpm;
    this.correctionPpm = this._calmPpm;
  }
}

function clamp(value, limit) {
  return Math.max(-limit, Math.min(limit, value));
}
