/**
 * Reads sound at any place between its frames, at any speed: a windowed sinc, taken from a
 * table. At the small corrections of a running stream it is flat to 20 kHz and below -80 dB
 * elsewhere.
 *
 * Source: J. O. Smith, "Digital Audio Resampling", CCRMA (Kaiser window, interpolated table).
 */

const LOBES = 16;
/** Zero crossings of the sinc on either side. */
const PHASES = 256;
const KAISER_BETA = 8;

export class SincTable {
  /**
   * @param {number} inputRate Hz
   * @param {number} outputRate Hz; below the input's, the sound above its half is taken out
   */
  constructor(inputRate, outputRate) {
    const cutoff = Math.min(1, outputRate / inputRate);
    /** So many frames before and after a place are needed to read it. */
    this.half = Math.ceil(LOBES / cutoff);
    const taps = 2 * this.half;
    // One phase more than are told apart, so that each has a next one.
    this._table = new Float32Array((PHASES + 1) * taps);
    for (let phase = 0; phase <= PHASES; phase += 1) {
      const row = this._table.subarray(phase * taps, (phase + 1) * taps);
      let sum = 0;
      for (let tap = 0; tap < taps; tap += 1) {
        const x = tap - (this.half - 1) - phase / PHASES;
        row[tap] = sinc(x * cutoff) * kaiser(x / this.half);
        sum += row[tap];
      }
      // A constant stays what it is, whatever the phase.
      for (let tap = 0; tap < taps; tap += 1) row[tap] /= sum;
    }
  }

  /**
   * Fills `left` and `right` from two rings of one length, a power of two.
   * @param {number} frame the whole frame at or before the first place
   * @param {number} fraction how far beyond it, from 0 to below 1
   * @param {number} step frames of the rings for each output frame
   */
  read(rings, frame, fraction, step, left, right) {
    const [leftRing, rightRing] = rings;
    const mask = leftRing.length - 1;
    const { half, _table: table } = this;
    const taps = 2 * half;
    for (let i = 0; i < left.length; i += 1) {
      const place = fraction + i * step;
      const whole = Math.floor(place);
      const phase = (place - whole) * PHASES;
      const low = Math.floor(phase);
      const share = phase - low;
      const row = low * taps;
      let at = frame + whole - half + 1;
      let l = 0;
      let r = 0;
      for (let tap = row; tap < row + taps; tap += 1) {
        const weight = table[tap] + (table[tap + taps] - table[tap]) * share;
        l += leftRing[at & mask] * weight;
        r += rightRing[at & mask] * weight;
        at += 1;
      }
      left[i] = l;
      right[i] = r;
    }
  }
}

function sinc(x) {
  return x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x);
}

/** The Kaiser window for x from -1 to 1. */
function kaiser(x) {
  return Math.abs(x) >= 1 ? 0 : bessel(KAISER_BETA * Math.sqrt(1 - x * x)) / bessel(KAISER_BETA);
}

/** The modified Bessel function of order 0, by its power series. */
function bessel(x) {
  let term = 1;
  let sum = 1;
  for (let k = 1; term > sum * 1e-12; k += 1) {
    term *= (x / (2 * k)) ** 2;
    sum += term;
  }
  return sum;
}
