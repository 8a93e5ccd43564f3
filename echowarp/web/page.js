/** The page: wires its parts together. Each knows its own piece of the document. */

import { CacheList } from "./cache_list.js";
import { Live } from "./live.js";
import { Login } from "./login.js";
import { ServerStatus } from "./server_status.js";
import { Uploads } from "./uploads.js";
import { Volume } from "./volume.js";

const live = new Live();
const volume = new Volume();
const cache = new CacheList();
const status = new ServerStatus();
const login = new Login(() => status.ask());
new Uploads(cache);

// One sound at a time: what begins stops the other.
live.addEventListener("start", () => cache.player.pause());
cache.player.addEventListener("change", () => {
  if (cache.player.isPlaying) live.stop();
});

volume.addEventListener("change", setVolume);
setVolume();

live.addEventListener("login", () => login.show());
live.addEventListener("status", ({ detail }) => status.show(detail));
status.addEventListener("login", () => {
  live.stop();
  login.show();
});
// Nothing else is asked for before the server has let us in.
status.addEventListener("status", () => cache.start(), { once: true });
status.start();

function setVolume() {
  live.volume = volume.gain;
  cache.player.volume = volume.gain;
}
