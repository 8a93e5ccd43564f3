/**
 * A source, a network and a sound card, each with a clock of its own, around a Playout.
 * Nothing waits: minutes pass in a moment, and in every run alike.
 */

import { Playout } from "/playout.js";

const QUANTUM = 128;
const SAMPLE_MS = 1000;

/** Random numbers from 0 to below 1, the same for the same seed (Park and Miller). */
export function seeded(seed) {
  let state = seed;
  return () => {
    state = (state * 48271) % 2147483647;
    return state / 2147483647;
  };
}

export function sine(hz, amplitude = 0.5) {
  return (seconds) => amplitude * Math.sin(2 * Math.PI * hz * seconds);
}

/**
 * @param {object} options
 * @param {(seconds: number) => number} options.sound what the source sends
 * @param {number} options.cardFrames what the sound card asks for at once
 * @param {(sentMs: number, block: number) => number | null} options.arrival ms on the way,
 *     or null for never; order is kept, as on a TCP connection
 * @returns {{left: Float32Array, right: Float32Array, samples: object[]}} the sound, and
 *     once a second the report with the true delay
 */
export function run(options) {
  const { rate, channels, outputRate, blockFrames, seconds, sound, arrival, stopped } = {
    rate: 48000,
    channels: 2,
    outputRate: 48000,
    blockFrames: 240,
    arrival: () => 1,
    stopped: () => false,
    ...options,
  };
  const { sourcePpm = 0, cardPpm = 0, cardFrames = 1024 } = options;
  const blockMs = ((blockFrames * 1000) / rate) / (1 + sourcePpm / 1e6);
  const burstMs = ((cardFrames * 1000) / outputRate) / (1 + cardPpm / 1e6);
  const playout = new Playout({ rate, channels, blockFrames, outputRate, nowMs: 0 });
  const left = new Float32Array(Math.ceil((seconds + 1) * outputRate));
  const right = new Float32Array(left.length);
  const samples = [];
  let rendered = 0;
  let block = 0;
  let lastMs = 0;
  let burst = 0;
  let sampled = 0;
  let comes = nextArrival();

  function nextArrival() {
    for (;;) {
      const sentMs = (block + 1) * blockMs;
      const ms = arrival(sentMs, block);
      if (ms !== null) {
        lastMs = Math.max(lastMs, sentMs + ms);
        return { time: block * blockFrames, atMs: lastMs };
      }
      block += 1;
    }
  }

  for (;;) {
    const asksMs = burst * burstMs;
    const nowMs = Math.min(asksMs, comes.atMs);
    if (nowMs >= seconds * 1000) break;
    if (comes.atMs <= asksMs) {
      playout.put(comes.time, pcm(comes.time), Math.floor(nowMs));
      block += 1;
      comes = nextArrival();
      continue;
    }
    burst += 1;
    if (stopped(nowMs)) continue;
    for (let i = 0; i < cardFrames; i += QUANTUM) {
      const part = [rendered, rendered + QUANTUM];
      playout.render(left.subarray(...part), right.subarray(...part), Math.floor(nowMs));
      rendered += QUANTUM;
    }
    if (nowMs >= sampled) {
      sampled += SAMPLE_MS;
      const report = playout.report();
      const heardMs = (report.position / blockFrames) * blockMs;
      samples.push({ atMs: nowMs, delayMs: nowMs + burstMs - heardMs, ...report });
    }
  }
  return { left: left.subarray(0, rendered), right: right.subarray(0, rendered), samples };

  function pcm(time) {
    const block16 = new Int16Array(blockFrames * channels);
    for (let i = 0; i < blockFrames; i += 1) {
      const value = Math.round(32767 * sound((time + i) / rate));
      block16.fill(value, i * channels, (i + 1) * channels);
    }
    return block16;
  }
}

/** What is not a sine of `hz` in a sound, in dB below it. The tone's phase and level are fitted. */
export function purityDb(sound, hz, rate) {
  let [sineSum, cosineSum, power] = [0, 0, 0];
  sound.forEach((value, i) => {
    const angle = (2 * Math.PI * hz * i) / rate;
    sineSum += value * Math.sin(angle);
    cosineSum += value * Math.cos(angle);
    power += value * value;
  });
  const tone = (2 * (sineSum ** 2 + cosineSum ** 2)) / sound.length;
  return 10 * Math.log10(tone / Math.max(1e-12, power - tone));
}

/** The greatest change from one frame to the next but one, against the mean of both. */
export function roughness(sound) {
  let worst = 0;
  for (let i = 2; i < sound.length; i += 1) {
    worst = Math.max(worst, Math.abs(sound[i] - 2 * sound[i - 1] + sound[i - 2]));
  }
  return worst;
}

export function check(truth, words) {
  if (!truth) throw new Error(words);
}
