/** Plays one cached file at a time, through the browser's own audio element. */
export class FilePlayer extends EventTarget {
  constructor() {
    super();
    this._audio = new Audio();
    this._audio.preload = "none";
    this.id = null;
    /** The file that is loaded. */
    for (const type of ["play", "pause", "timeupdate", "durationchange", "ended"]) {
      this._audio.addEventListener(type, () => this._changed());
    }
    this._audio.addEventListener("error", () => {
      if (this.id !== null) this.dispatchEvent(new CustomEvent("failed", { detail: this.id }));
    });
  }

  get isPlaying() {
    return this.id !== null && !this._audio.paused && !this._audio.ended;
  }

  /** Seconds; not finite where the browser does not know. */
  get duration() {
    return this._audio.duration;
  }

  get position() {
    return this._audio.currentTime;
  }

  set position(seconds) {
    this._audio.currentTime = seconds;
  }

  set volume(volume) {
    this._audio.volume = volume;
  }

  /** Plays a file, or lets the one that is loaded go on or pause. */
  toggle(id) {
    if (this.id !== id) {
      this.id = id;
      this._audio.src = fileUrl(id);
    } else if (this.isPlaying) {
      this._audio.pause();
      return;
    }
    // What does not play is told by the element's error event.
    this._audio.play().catch(() => {});
  }

  pause() {
    this._audio.pause();
  }

  /** Lets go of the file. */
  unload() {
    this.id = null;
    this._audio.removeAttribute("src");
    this._audio.load();
    this._changed();
  }

  _changed() {
    this.dispatchEvent(new Event("change"));
  }
}

export function fileUrl(id) {
  return `cache/${encodeURIComponent(id)}`;
}
