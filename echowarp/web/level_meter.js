/** The level of the sound between two looks at it, for each side. */
export class LevelMeter {
  constructor() {
    this._reset();
  }

  add(left, right) {
    [left, right].forEach((sound, side) => {
      for (const value of sound) {
        this._peaks[side] = Math.max(this._peaks[side], Math.abs(value));
        this._powers[side] += value * value;
      }
    });
    this._count += left.length;
  }

  /** For each side its peak and effective value, from 0 to 1. */
  take() {
    const levels = this._peaks.map((peak, side) => ({
      peak,
      rms: Math.sqrt(this._powers[side] / Math.max(1, this._count)),
    }));
    this._reset();
    return levels;
  }

  _reset() {
    this._peaks = [0, 0];
    this._powers = [0, 0];
    this._count = 0;
  }
}
