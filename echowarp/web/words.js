/** Numbers and times as people read them. */

const UNITS = ["bytes", "kB", "MB", "GB", "TB"];
const AGO = [
  ["day", 86_400],
  ["hour", 3600],
  ["minute", 60],
];
const relative = new Intl.RelativeTimeFormat("en", { numeric: "auto" });

export function bytes(count) {
  const power = count < 1000 ? 0 : Math.min(4, Math.floor(Math.log10(count) / 3));
  const value = count / 1000 ** power;
  return `${value.toFixed(power > 0 && value < 99.5 ? 1 : 0)} ${UNITS[power]}`;
}

/** As on a watch: 0:07, 12:30, 1:00:05. */
export function clock(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  const parts = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const shown = parts[0] > 0 ? parts : parts.slice(1);
  return shown.map((part, i) => (i > 0 ? String(part).padStart(2, "0") : part)).join(":");
}

/** The two greatest parts: 3 d 4 h, 5 min 2 s. */
export function duration(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  const parts = [
    [Math.floor(whole / 86_400), "d"],
    [Math.floor(whole / 3600) % 24, "h"],
    [Math.floor(whole / 60) % 60, "min"],
    [whole % 60, "s"],
  ];
  const first = parts.findIndex(([value]) => value > 0);
  if (first < 0) return "0 s";
  const shown = parts.slice(first, first + 2).filter(([value]) => value > 0);
  return shown.map(([value, unit]) => `${value} ${unit}`).join(" ");
}

/** @param {number} timeS seconds since 1970 */
export function ago(timeS, nowMs) {
  const seconds = nowMs / 1000 - timeS;
  const [unit, size] = AGO.find(([, each]) => seconds >= each) ?? [null, 1];
  return unit === null ? "just now" : relative.format(-Math.floor(seconds / size), unit);
}

/** A delay or a level of a buffer. */
export function milliseconds(ms) {
  return ms === null ? "–" : ms.toFixed(0);
}

export function percent(value) {
  if (value === null) return "–";
  return value > 0 && value < 9.95 ? value.toFixed(1) : value.toFixed(0);
}

export function decibels(db) {
  return db === null ? "silent" : `${db.toFixed(1).replace("-", "−")} dB`;
}
