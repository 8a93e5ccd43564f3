/** The playout under a virtual clock, against networks and clocks of all kinds. */

import { check, purityDb, roughness, run, seeded, sine } from "/virtual.js";

const RATE = 48000;
const HZ = 1000;
const sound = sine(HZ);

/** What a click would exceed: a mirrored tail has a bend, no jump. */
const SMOOTH = 0.14;

function near(value, wanted, allowed, words) {
  check(Math.abs(value - wanted) <= allowed, `${words}: ${value}, not ${wanted} ± ${allowed}`);
}

/** The purity of the half second before `seconds`. */
function purityAt(left, seconds, rate = RATE) {
  return purityDb(left.slice((seconds - 0.5) * rate, seconds * rate), HZ, rate);
}

export function test_a_steady_network_is_played_clean_and_soon() {
  const { left, samples } = run({ sound, seconds: 40 });
  const { concealed, delayMs } = samples.at(-1);
  near(concealed, 0, 0, "frames concealed");
  check(delayMs < 40, `the delay is ${delayMs} ms`);
  check(purityAt(left, 38) > 80, `purity is ${purityAt(left, 38)} dB`);
  check(roughness(left) < 0.01, `something clicks: ${roughness(left)}`);
}

export function test_jitter_is_waited_for_and_no_more() {
  const random = seeded(5);
  const { samples } = run({ sound, seconds: 50, arrival: () => 1 + 40 * random() ** 3 });
  const early = samples[20].concealed;
  near(samples.at(-1).concealed, early, 0, "frames concealed once the jitter was known");
  const { delayMs } = samples.at(-1);
  // A block, the jitter, the card's 21 ms, and a margin.
  check(delayMs > 60 && delayMs < 90, `the delay is ${delayMs} ms`);
}

export function test_clocks_that_run_apart_do_not_empty_or_fill_the_buffer() {
  for (const [sourcePpm, cardPpm] of [[300, -300], [-300, 300]]) {
    const { left, samples } = run({ sound, seconds: 60, sourcePpm, cardPpm });
    near(samples.at(-1).concealed, 0, 0, "frames concealed");
    near(samples.at(-1).correctionPpm, sourcePpm - cardPpm, 60, "correction, ppm");
    near(samples.at(-1).delayMs, samples[30].delayMs, 5, "the delay half a minute later");
    check(roughness(left) < 0.01, `something clicks: ${roughness(left)}`);
  }
}

export function test_a_stall_grows_the_delay_at_once_and_it_comes_back() {
  const arrival = (ms) => (ms > 10_000 && ms < 10_300 ? 10_300 - ms : 1);
  const { left, samples } = run({ sound, seconds: 60, arrival });
  check(samples[11].delayMs > 300, `after the stall the delay is ${samples[11].delayMs} ms`);
  near(samples[11].concealed / RATE, 0.3, 0.1, "seconds of silence");
  near(samples.at(-1).concealed, samples[11].concealed, 0, "frames concealed later");
  check(samples.at(-1).delayMs < 150, `at the end the delay is ${samples.at(-1).delayMs} ms`);
  check(roughness(left) < SMOOTH, `something clicks: ${roughness(left)}`);
}

export function test_a_second_stall_like_the_first_is_not_heard() {
  const held = (ms, from) => (ms > from && ms < from + 200 ? from + 200 - ms : 1);
  const arrival = (ms) => Math.max(held(ms, 10_000), held(ms, 20_000));
  const { samples } = run({ sound, seconds: 30, arrival });
  near(samples.at(-1).concealed, samples[15].concealed, 0, "frames concealed");
}

export function test_blocks_that_never_come_are_faded_over() {
  const { left, samples } = run({
    sound,
    seconds: 30,
    arrival: (_, block) => (block % 100 === 50 ? null : 1),
  });
  near(samples.at(-1).concealed / samples.at(-1).played, 0.01, 0.001, "share concealed");
  check(samples.at(-1).delayMs < 40, `the delay is ${samples.at(-1).delayMs} ms`);
  check(roughness(left) < SMOOTH, `something clicks: ${roughness(left)}`);
}

export function test_an_outage_is_silent_and_ends_in_step() {
  // The last second of five comes late, the rest is gone: so it is with a full queue.
  const arrival = (ms) => {
    if (ms <= 10_000 || ms >= 15_000) return 1;
    return ms < 14_000 ? null : 15_000 - ms;
  };
  const { left, samples } = run({ sound, seconds: 60, arrival });
  near(samples[20].concealed / RATE, 5, 0.2, "seconds of silence");
  near(samples.at(-1).concealed, samples[20].concealed, 0, "frames concealed later");
  check(samples.at(-1).delayMs < 150, `at the end the delay is ${samples.at(-1).delayMs} ms`);
  check(roughness(left) < SMOOTH, `something clicks: ${roughness(left)}`);
}

export function test_a_card_that_stood_still_leaves_no_delay_behind() {
  const stopped = (ms) => ms > 10_000 && ms < 20_000;
  const { left, samples } = run({ sound, seconds: 60, stopped });
  check(samples.at(-1).delayMs < 60, `at the end the delay is ${samples.at(-1).delayMs} ms`);
  check(purityAt(left, 45) > 60, `purity is ${purityAt(left, 45)} dB`);
  // Where the card stood there is a seam, and none after it.
  const later = left.slice(RATE * 11);
  check(roughness(later) < SMOOTH, `something clicks: ${roughness(later)}`);
}

export function test_a_source_that_pauses_goes_on_without_a_delay_of_its_own() {
  // Time stands still at the source for 5 s: every later block comes 5 s after its time.
  const arrival = (ms) => (ms < 10_000 ? 1 : 5001);
  const { samples } = run({ sound, seconds: 50, arrival });
  near(samples.at(-1).delayMs - 5000, samples[9].delayMs, 40, "the delay after the pause");
  check(samples[18].isPlaying, "nothing plays three seconds after the pause");
}

export function test_other_rates_of_the_card_and_of_the_stream() {
  for (const [rate, outputRate] of [[48000, 44100], [44100, 48000], [96000, 48000], [8000, 48000]]) {
    const blockFrames = Math.floor(rate / 200);
    const { left, samples } = run({ sound, seconds: 30, rate, outputRate, blockFrames });
    near(samples.at(-1).concealed, 0, 0, `frames concealed, ${rate} to ${outputRate}`);
    const purity = purityAt(left, 28, outputRate);
    check(purity > 70, `purity from ${rate} to ${outputRate} is ${purity} dB`);
  }
}

export function test_what_a_lower_rate_cannot_hold_is_left_out() {
  const high = sine(30_000);
  const { left } = run({ sound: high, seconds: 10, rate: 96000, blockFrames: 480 });
  const peak = left.slice(RATE * 5).reduce((a, b) => Math.max(a, Math.abs(b)), 0);
  check(peak < 0.001, `a tone of 30 kHz is heard with an amplitude of ${peak}`);
}

export function test_many_channels_become_two_and_one_becomes_both() {
  for (const channels of [1, 2, 3, 6, 8]) {
    const { left, right } = run({ sound, seconds: 20, channels });
    for (const side of [left, right]) {
      const peak = side.slice(RATE * 18).reduce((a, b) => Math.max(a, Math.abs(b)), 0);
      near(peak, 0.5, 0.01, `amplitude of ${channels} channels`);
    }
  }
}

export function test_silence_is_left_out_where_the_delay_is_to_shrink() {
  const arrival = (ms) => (ms > 5000 && ms < 5150 ? 5150 - ms : 1);
  const { samples } = run({ sound: () => 0, seconds: 50, arrival });
  // By the speed alone, 150 ms take 50 s.
  check(samples[40].delayMs < 60, `the delay is ${samples[40].delayMs} ms`);
}
