/** Runs before the page: keeps the left side of what any AudioContext plays. */

(() => {
  const FRAMES = 4096;
  const chunks = [];
  let rate = 0;
  const { connect } = AudioNode.prototype;
  AudioNode.prototype.connect = function tap(target, ...args) {
    if (target instanceof AudioDestinationNode) {
      // Old-fashioned, but the only kind that needs no file beside the page's own.
      const recorder = this.context.createScriptProcessor(FRAMES, 1, 1);
      rate = this.context.sampleRate;
      recorder.onaudioprocess = ({ inputBuffer }) => chunks.push(inputBuffer.getChannelData(0).slice());
      const side = this.context.createChannelSplitter(2);
      connect.call(this, side);
      connect.call(side, recorder, 0);
      // A node that leads nowhere is not run; this one sends silence.
      connect.call(recorder, target);
    }
    return connect.call(this, target, ...args);
  };
  window.takeSound = () => {
    let bytes = "";
    for (const chunk of chunks.splice(0)) {
      bytes += String.fromCharCode(...new Uint8Array(chunk.buffer));
    }
    return [btoa(bytes), rate];
  };
})();
