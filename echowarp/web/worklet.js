/** The AudioWorklet: feeds a Playout with what the connection brings, and plays it. */

import { LevelMeter } from "./level_meter.js";
import { Playout } from "./playout.js";

const HEADER_BYTES = 16;
/** u32 stream, u32 sequence number, u64 time in frames, big endian; then samples. */
const REPORT_S = 0.04;
/** As often as a level meter has to move. */

class ListenProcessor extends AudioWorkletProcessor {
  constructor() {
    super();
    this._playout = null;
    this._stream = null;
    this._meter = new LevelMeter();
    this._reportedS = 0;
    this._isOver = false;
    this.port.onmessage = ({ data }) => {
      if (data === null) this._isOver = true;
      else data.onmessage = (message) => this._receive(message.data);
    };
  }

  process(_inputs, [output]) {
    const [left, right] = output;
    const contextS = currentTime;
    const before = this._playout?.report();
    if (this._playout !== null) this._playout.render(left, right, Date.now());
    this._meter.add(left, right);
    if (contextS - this._reportedS >= REPORT_S) {
      this._reportedS = contextS;
      // The position before this quantum is the one that belongs to its time.
      const report = before && { ...this._playout.report(), position: before.position };
      this.port.postMessage({
        contextS,
        stream: this._stream,
        levels: this._meter.take(),
        ...report,
      });
    }
    return !this._isOver;
  }

  _receive(data) {
    if (data instanceof ArrayBuffer) {
      const time = Number(new DataView(data).getBigUint64(8));
      this._playout?.put(time, new Int16Array(data, HEADER_BYTES), Date.now());
    } else if (data.type === "stream") {
      this._stream = data.stream;
      this._playout = new Playout({
        rate: data.rate,
        channels: data.channels,
        blockFrames: data.blockFrames,
        outputRate: sampleRate,
        nowMs: Date.now(),
      });
    } else if (data.type === "end") {
      this._playout?.finish();
    }
  }
}

registerProcessor("listen", ListenProcessor);
