/** The page: wires its parts together. Each knows its own piece of the document. */

import { CacheList } from "./cache_list.js";
import { Live } from "./live.js";
import { ServerStatus } from "./server_status.js";
import { Uploads } from "./uploads.js";
import { Volume } from "./volume.js";

const live = new Live();
const volume = new Volume();
const cache = new CacheList();
const status = new ServerStatus();
new Uploads(cache);

// One sound at a time: what begins stops the other.
live.addEventListener("start", () => cache.player.pause());
cache.player.addEventListener("change", () => {
  if (cache.player.isPlaying) live.stop();
});

volume.addEventListener("change", setVolume);
setVolume();

live.addEventListener("status", ({ detail }) => status.show(detail));
// A session ends after a while, or with the server that gave it.
live.addEventListener("login", () => location.assign("login"));
status.addEventListener("login", () => location.assign("login"));
status.start();
cache.start();

function setVolume() {
  live.volume = volume.gain;
  cache.player.volume = volume.gain;
}
