/** The small parts of the page, one by one. */

import { idFor } from "/cache_socket.js";
import { ClockExchange } from "/clock_exchange.js";
import { SlidingMax } from "/sliding_max.js";
import { check, seeded } from "/virtual.js";
import { ago, bytes, clock, decibels, duration, percent } from "/words.js";

function equal(is, wanted) {
  check(is === wanted, `${JSON.stringify(is)}, not ${JSON.stringify(wanted)}`);
}

export function test_a_sliding_maximum_is_that_of_all_values_in_the_window() {
  const random = seeded(1);
  const fast = new SlidingMax(50);
  const all = [];
  for (let ms = 0; ms < 2000; ms += Math.floor(random() * 9)) {
    const value = Math.floor(random() * 20);
    fast.add(value, ms);
    all.push({ value, ms });
    const window = all.filter((each) => each.ms > ms - 50);
    equal(fast.value, Math.max(...window.map((each) => each.value)));
  }
}

export function test_the_clocks_are_compared_by_the_quickest_answer() {
  const exchange = new ClockExchange();
  equal(exchange.offsetMs, null);
  // Their clock is 5000 ms ahead; the way back is slow at times.
  for (const [t1, there, back] of [[0, 10, 90], [100, 10, 12], [200, 10, 300]]) {
    const at = t1 + there + 5000;
    exchange.answered({ t1, t2: at, t3: at }, t1 + there + back);
  }
  equal(exchange.offsetMs, 4999);
}

export function test_answers_that_make_no_sense_are_dropped() {
  const exchange = new ClockExchange();
  exchange.answered({ t1: 100, t2: 0, t3: 0 }, 50);
  exchange.answered({ t1: 0, t2: 0, t3: 0 }, 5000);
  exchange.answered({ t1: 0, t2: "x", t3: null }, 10);
  equal(exchange.offsetMs, null);
}

export function test_clocks_are_asked_quickly_at_first() {
  const exchange = new ClockExchange();
  const pauses = [];
  for (let i = 0; i < 6; i += 1) {
    exchange.ask(0);
    pauses.push(exchange.intervalMs);
  }
  equal(pauses.join(), "100,100,100,100,1000,1000");
}

export function test_ids_are_made_of_names() {
  const id = (name, ...taken) => idFor(name, new Set(taken), () => "0123abcd");
  equal(id("Song.wav"), "Song.wav");
  equal(id("Café (live).flac"), "Cafe-live.flac");
  equal(id("Мелодия.wav"), "stream-0123abcd.wav");
  equal(id("..hidden"), "hidden");
  equal(id(".profile"), "profile");
  equal(id("no ending"), "no-ending");
  equal(id("a.wav", "a.wav"), "a-2.wav");
  equal(id("a.wav", "a.wav", "a-2.wav"), "a-3.wav");
  for (const name of [`${"x".repeat(300)}.${"y".repeat(300)}`, "../../etc/passwd", "", ".", "?"]) {
    check(/^[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}$/.test(id(name)), `${name}: ${id(name)}`);
  }
}

export function test_sizes_and_times_are_said_shortly() {
  equal(bytes(0), "0 bytes");
  equal(bytes(999), "999 bytes");
  equal(bytes(1000), "1.0 kB");
  equal(bytes(268_435_456), "268 MB");
  equal(clock(7.9), "0:07");
  equal(clock(3605), "1:00:05");
  equal(duration(0), "0 s");
  equal(duration(59), "59 s");
  equal(duration(7512), "2 h 5 min");
  equal(duration(86_400 + 30), "1 d");
  equal(ago(1000, 1_000_500), "just now");
  equal(ago(0, 7_200_000), "2 hours ago");
  equal(ago(2000, 1_000_000), "just now");
  equal(percent(null), "–");
  equal(percent(0), "0");
  equal(percent(0.04), "0.0");
  equal(percent(9.96), "10");
  equal(decibels(-18.42), "−18.4 dB");
  equal(decibels(null), "silent");
}
