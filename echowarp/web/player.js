/**
 * Listening, as the page has it: `start` and `stop`, a volume, and what is told about it.
 *
 * Tells by events, each with `detail`:
 *   state    {state, message}: connecting, joined, lost, retrying, login
 *   message  what the server says: stream, end, status
 *   levels   one {peak, rms} for each side, 25 times a second
 *   figures  once a second, see `_figures`
 *   context  whether the browser lets us play: running, suspended, interrupted
 */

const VOLUME_S = 0.02;
/** A volume that moves so fast makes no noise of its own. */
const FIGURES_MS = 1000;

export class Player extends EventTarget {
  constructor() {
    super();
    this._volume = 1;
    this._run = null;
  }

  /** Browsers have an AudioWorklet only on pages that they call secure. */
  static get isPossible() {
    return window.isSecureContext && "AudioWorkletNode" in window;
  }

  get isOn() {
    return this._run !== null;
  }

  /** From 0 to 1. */
  set volume(volume) {
    this._volume = volume;
    const gain = this._run?.gain.gain;
    gain?.setTargetAtTime(volume, this._run.context.currentTime, VOLUME_S);
  }

  /** To be called in the handler of a click: only there may a page begin to sound. */
  async start() {
    // A phone's silent switch is for rings and games, not for what one listens to.
    if (navigator.audioSession) navigator.audioSession.type = "playback";
    const context = new AudioContext({ latencyHint: "interactive" });
    const run = { context, worker: null, node: null, gain: null };
    this._run = run;
    this._forget();
    this._tell("state", { state: "connecting" });
    context.onstatechange = () => this._tell("context", context.state);
    const resumed = context.resume();
    await context.audioWorklet.addModule("worklet.js");
    if (this._run !== run) return;
    this._wire(run);
    await resumed;
  }

  stop() {
    const run = this._run;
    if (run === null) return;
    this._run = null;
    clearInterval(this._timer);
    // What they have said already is of no interest any more.
    if (run.worker !== null) {
      run.worker.onmessage = run.node.port.onmessage = null;
      run.worker.terminate();
      run.node.port.postMessage(null);
    }
    run.context.onstatechange = null;
    run.context.close();
  }

  /** Lets a context go on that the browser or the phone has stopped. */
  resume() {
    this._run?.context.resume();
  }

  _wire(run) {
    const { context } = run;
    run.node = new AudioWorkletNode(context, "listen", {
      numberOfInputs: 0,
      outputChannelCount: [2],
    });
    run.gain = new GainNode(context, { gain: this._volume });
    run.node.connect(run.gain).connect(context.destination);
    run.worker = new Worker("listen_worker.js", { type: "module" });
    const { port1, port2 } = new MessageChannel();
    run.node.port.postMessage(port1, [port1]);
    run.worker.postMessage({ type: "start", sound: port2 }, [port2]);
    run.worker.onmessage = ({ data }) => this._onConnection(data);
    run.node.port.onmessage = ({ data }) => this._onPlayout(data);
    this._timer = setInterval(() => this._tellFigures(), FIGURES_MS);
  }

  _tell(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }

  _forget() {
    this._offsetMs = null;
    this._stream = null;
    this._anchor = null;
    this._delays = [];
    this._playout = null;
    this._counted = { stream: null, played: 0, concealed: 0 };
  }

  _onConnection(message) {
    if (message.type === "clock") this._offsetMs = message.offsetMs;
    else if (message.type === "anchor") this._anchor = message;
    else if (message.type === "state") this._tell("state", message);
    else {
      if (message.type === "stream") this._stream = message;
      this._tell("message", message);
    }
  }

  _onPlayout(report) {
    this._tell("levels", report.levels);
    if (report.position === undefined) return;
    this._playout = report;
    const delayMs = this._delayMs(report);
    if (delayMs !== null) this._delays.push(delayMs);
  }

  /** From the microphone of the server to the ear: when heard minus when captured. */
  _delayMs({ isPlaying, stream, position, contextS }) {
    const [anchor, format] = [this._anchor, this._stream];
    const isKnown = anchor?.stream === stream && format?.stream === stream;
    if (!isPlaying || !isKnown || this._offsetMs === null) return null;
    const capturedMs = anchor.capturedMs + ((position - anchor.time) * 1000) / format.rate;
    return performance.timeOrigin + this._heardMs(contextS) + this._offsetMs - capturedMs;
  }

  /** When what is rendered at `contextS` comes out of the loudspeaker, on the page's clock. */
  _heardMs(contextS) {
    const { context } = this._run;
    const stamp = context.getOutputTimestamp?.();
    if (stamp?.contextTime > 0) {
      return stamp.performanceTime + (contextS - stamp.contextTime) * 1000;
    }
    const latencyS = context.outputLatency || context.baseLatency || 0;
    return performance.now() + (contextS - context.currentTime + latencyS) * 1000;
  }

  _tellFigures() {
    const figures = this._figures();
    this._tell("figures", figures);
    const { bufferMs, lossPercent, delayMs } = figures;
    if (delayMs === null || lossPercent === null) return;
    this._run?.worker.postMessage({ type: "report", bufferMs, lossPercent, delayMs });
  }

  /** Of the last second, each null where unknown: delayMs, lossPercent, bufferMs, and more. */
  _figures() {
    const { _playout: playout, _counted: last } = this;
    const delays = this._delays.splice(0).sort((a, b) => a - b);
    const delayMs = delays.length > 0 ? delays[delays.length >> 1] : null;
    if (playout === null) return { delayMs, lossPercent: null, bufferMs: null };
    const { stream, played, concealed } = playout;
    const since = last.stream === stream ? last : { played: 0, concealed: 0 };
    this._counted = { stream, played, concealed };
    const heard = played - since.played;
    const lossPercent = heard > 0 ? ((concealed - since.concealed) * 100) / heard : null;
    const { bufferMs, targetMs, correctionPpm, isPlaying } = playout;
    return { delayMs, lossPercent, bufferMs, targetMs, correctionPpm, isPlaying };
  }
}
