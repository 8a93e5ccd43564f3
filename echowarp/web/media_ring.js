/**
 * The frames of a stream around the place that is played, two channels of them.
 *
 * Behind the newest frame there is always a tail: its last milliseconds mirrored, fading to
 * silence. Whoever reads on into what never came hears that, not a click; a block that comes
 * while its tail is being read is faded in.
 */

const FADE_MS = 6;
const RUN_OUT_MS = 50;
/** Silence behind the tail: whoever plays notices the end once in a while only. */

export class MediaRing {
  /**
   * @param {number} rate Hz
   * @param {number} channels in the stream; above two, even ones go left and odd ones right
   * @param {number} seconds how much is kept, at least
   * @param {number} margin frames before and after a place that reading it touches
   */
  constructor({ rate, channels, seconds, margin }) {
    this.length = 2 ** Math.ceil(Math.log2(rate * seconds));
    this.channels = [new Float32Array(this.length), new Float32Array(this.length)];
    this.fadeFrames = Math.round((rate * FADE_MS) / 1000);
    /** The first frame that has not come; null before the first block. */
    this.end = null;
    this._channelCount = channels;
    this._margin = margin;
    this._runOutFrames = margin + Math.round((rate * RUN_OUT_MS) / 1000);
    this._definedTo = 0;
  }

  /** The first frame that can still be read. */
  get begin() {
    return this._definedTo - this.length + this._margin;
  }

  /** Begins anew with `frame`: nothing came before. */
  startAt(frame) {
    for (const ring of this.channels) ring.fill(0);
    this.end = frame;
    this._definedTo = frame;
  }

  /**
   * Takes in a block that begins at the end, or beyond it with silence between.
   * @param {Int16Array} samples interleaved
   * @param {number} safe frames from this one on have not been read
   */
  write(time, samples, safe) {
    const frames = samples.length / this._channelCount;
    const isContinuous = time === this.end && time >= safe;
    this.end = time + frames;
    this._defineTo(this.end + this.fadeFrames + this._runOutFrames);
    // A block that is wholly too late leaves its turn to the tail that is being played.
    if (this.end <= safe) return;
    const from = Math.max(time, safe);
    for (const side of [0, 1]) {
      const sound = this._side(side, samples, frames);
      this._place(this.channels[side], time, sound, from, isContinuous);
      this._addTail(this.channels[side]);
    }
  }

  /** The greatest amplitude of `frames` frames from `begin` on. */
  peak(begin, frames) {
    const mask = this.length - 1;
    let peak = 0;
    for (const ring of this.channels) {
      for (let at = begin; at < begin + frames; at += 1) {
        peak = Math.max(peak, Math.abs(ring[at & mask]));
      }
    }
    return peak;
  }

  _place(ring, time, sound, from, isContinuous) {
    const mask = this.length - 1;
    for (let at = from; at < this.end; at += 1) {
      const share = isContinuous ? 1 : Math.min(1, (at - from + 1) / this.fadeFrames);
      const old = ring[at & mask];
      ring[at & mask] = old + (sound[at - time] - old) * share;
    }
  }

  _addTail(ring) {
    const mask = this.length - 1;
    for (let i = 0; i < this.fadeFrames; i += 1) {
      const gain = 0.5 + 0.5 * Math.cos((Math.PI * (i + 1)) / this.fadeFrames);
      ring[(this.end + i) & mask] = ring[(this.end - 1 - i) & mask] * gain;
    }
  }

  /** Frames that were never written are silence, not what stood there a round before. */
  _defineTo(frame) {
    const mask = this.length - 1;
    for (const ring of this.channels) {
      for (let at = this._definedTo; at < frame; at += 1) ring[at & mask] = 0;
    }
    this._definedTo = Math.max(this._definedTo, frame);
  }

  _side(side, samples, frames) {
    const count = this._channelCount;
    const first = count === 1 ? 0 : side;
    const mixed = count === 1 ? 1 : Math.ceil((count - side) / 2);
    const sound = new Float32Array(frames);
    for (let channel = first; channel < count; channel += 2) {
      for (let i = 0; i < frames; i += 1) {
        sound[i] += samples[i * count + channel] / (32768 * mixed);
      }
    }
    return sound;
  }
}
