"""The page in a real browser, in front of a real server."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect

from tests.processes import PASSWORD, Program, Stage, free_port, wait_until
from tests.web.browser import LAN_NAME, Sound, record, take_sound
from tests.web.relay import Relay

HZ = 440
PATIENCE_MS = 20_000
DROP = """(element, [name, text]) => {
    const data = new DataTransfer();
    data.items.add(new File([text], name));
    for (const type of ["dragenter", "dragover", "drop"]) {
        const options = { dataTransfer: data, bubbles: true, cancelable: true };
        element.dispatchEvent(new DragEvent(type, options));
    }
}"""

expect.set_options(timeout=PATIENCE_MS)


class Door:
    """A server with a web door, and windows in front of it."""

    def __init__(self, stage: Stage, browser: Browser) -> None:
        self.stage, self.browser = stage, browser
        self.port = free_port()
        self.complaints: list[str] = []
        """What the browser wrote to its console, and what a page threw."""
        self._contexts: list[BrowserContext] = []

    def server(self, *arguments: str, password: str | None = None) -> Program:
        folder = self.stage.folder
        homes = {"XDG_DATA_HOME": str(folder / "data"), "XDG_CACHE_HOME": str(folder / "cache")}
        server = self.stage.server(
            *("--web_port", str(self.port), *arguments),
            source=f"tone:{HZ}",
            password=password,
            environment=homes,
        )
        server.says("listen in a browser")
        return server

    def page(
        self, address: str = "http://127.0.0.1", port: int | None = None, **options: object
    ) -> Page:
        context = self.browser.new_context(ignore_https_errors=True, **options)  # type: ignore[arg-type]
        self._contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(PATIENCE_MS)
        page.on("console", lambda message: self._complain(message.text))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        record(page)
        page.goto(f"{address}:{port or self.port}/")
        return page

    def _complain(self, text: str) -> None:
        if "ScriptProcessorNode" not in text:  # that is the recorder's, not the page's
            self.complaints.append(text)

    def close(self) -> None:
        for context in self._contexts:
            context.close()


@pytest.fixture
def door(stage: Stage, browser: Browser) -> Iterator[Door]:
    door = Door(stage, browser)
    yield door
    door.close()


def play(page: Page) -> None:
    page.get_by_role("button", name="Listen").click()
    expect(state(page)).to_have_text("Playing")


def state(page: Page) -> Locator:
    return page.locator("#state")


def hear(page: Page, seconds: float) -> tuple[Sound, int]:
    """The sound of the next so many seconds."""
    _, rate = take_sound(page)
    heard: list[Sound] = []

    def enough() -> bool:
        page.wait_for_timeout(50)
        heard.append(take_sound(page)[0])
        return sum(map(len, heard)) >= seconds * rate

    wait_until(enough, f"{seconds} s of sound")
    return np.concatenate(heard), rate


def soon_hears_the_tone(page: Page, seconds: float) -> tuple[Sound, int]:
    """The first so many seconds in which it plays the server's tone as it is."""
    heard: list[tuple[Sound, int]] = []

    def fine() -> bool:
        heard.append(hear(page, seconds))
        return is_tone(*heard[-1])

    wait_until(fine, "the tone")
    return heard[-1]


def loudest(page: Page) -> float:
    """The peak of the next half second."""
    return float(np.abs(hear(page, 0.5)[0]).max())


def is_tone(sound: Sound, rate: int) -> bool:
    """Whether a sound is the server's tone and nothing else, but for moments in which this
    machine may have been too slow."""
    frames = rate // 100
    parts = sound[: len(sound) // frames * frames].reshape(-1, frames).astype(np.float64)
    turn = 2 * np.cos(2 * np.pi * HZ / rate)
    # What a sine of that frequency would not do: a click, a gap, another tone.
    strange = np.abs(parts[:, 2:] - turn * parts[:, 1:-1] + parts[:, :-2]).max(axis=1)
    loud = np.abs(parts).max(axis=1)
    return bool(np.mean((strange < 0.002) & (loud > 0.05)) > 0.8)


def frequency(sound: Sound, rate: int) -> float:
    spectrum = np.abs(np.fft.rfft(sound * np.hanning(len(sound)), 8 * len(sound)))
    return float(spectrum.argmax()) * rate / (8 * len(sound))


def number(page: Page, name: str) -> float:
    return float(page.locator(f"#{name}").inner_text())


def test_it_plays_the_tone_that_the_server_sends(door: Door) -> None:
    server = door.server()
    page = door.page()
    play(page)
    server.says("listens in a browser")
    sound, rate = soon_hears_the_tone(page, 2)
    assert abs(frequency(sound, rate) - HZ) < 3  # a delay that shrinks is played 5 cents up
    assert 0 < number(page, "delay") < 1000
    assert number(page, "loss") < 50
    assert float(page.locator("#meter").get_attribute("aria-valuenow") or -60) > -40
    expect(page.locator("#server-listeners")).to_have_text("1, 1 in browsers")
    page.get_by_role("button", name="Stop").click()
    server.says("listens no longer")
    expect(state(page)).to_have_text("Ready to play")
    assert door.complaints == []


def test_the_last_minute_is_drawn_and_told(door: Door) -> None:
    """A line that grows, which says in words what it shows, and a second's figures by key."""
    door.server()
    page = door.page()
    plot, line = page.locator("#plot"), page.locator("#plot path.delay")
    expect(plot).to_have_attribute("aria-label", re.compile("nothing yet$"))
    play(page)
    expect(plot).to_have_attribute("aria-label", re.compile(r"from \d+ to \d+ milliseconds, "))
    expect(line).to_have_attribute("d", re.compile(r"M.*L.*L"))
    plot.press("ArrowLeft")
    expect(page.locator("#readout")).to_have_text(re.compile(r"^1 s ago: \d+ ms, [\d.]+ % lost$"))


def test_the_volume_is_that_of_what_is_heard(door: Door) -> None:
    door.server()
    page = door.page()
    play(page)
    full = np.abs(soon_hears_the_tone(page, 0.5)[0]).max()
    page.get_by_role("slider", name="Volume").fill("50")
    half = pytest.approx(full * 10 ** (-21 / 20), rel=0.1)
    wait_until(lambda: loudest(page) == half, "21 dB less")
    page.get_by_role("button", name="Mute").click()
    wait_until(lambda: loudest(page) < 0.001, "silence")


def test_the_network_is_cut_and_restored(door: Door) -> None:
    door.server()
    with Relay(door.port) as relay:
        page = door.page(port=relay.port)
        play(page)
        relay.pull()
        expect(state(page)).to_contain_text("The connection is lost")
        assert loudest(page) < 0.001
        relay.plug_in()
        expect(state(page)).to_have_text("Playing")
        soon_hears_the_tone(page, 2)


def test_a_server_that_starts_again_is_found_again(door: Door) -> None:
    server = door.server()
    page = door.page()
    play(page)
    server.leave()
    expect(state(page)).to_contain_text("The server says: the server has closed")
    door.server()
    expect(state(page)).to_have_text("Playing")
    soon_hears_the_tone(page, 1)


def test_with_a_password_it_asks_for_it_and_lets_in(door: Door) -> None:
    door.server(password=PASSWORD)
    page = door.page("https://127.0.0.1")
    field = page.get_by_label("Password")
    expect(field).to_be_focused()
    field.fill("wrong")
    field.press("Enter")
    expect(page.get_by_role("alert")).to_have_text("This is not the password.")
    field.fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    play(page)
    soon_hears_the_tone(page, 1)
    (cookie,) = page.context.cookies()
    assert cookie["httpOnly"] and cookie["secure"]
    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_role("heading", name="Log in")).to_be_visible()
    assert page.context.cookies() == []


def test_plain_http_on_a_lan_is_explained(door: Door) -> None:
    door.server()
    page = door.page(f"http://{LAN_NAME}")
    expect(page.get_by_role("heading", name="This browser plays no live sound")).to_be_visible()
    expect(page.locator("#play")).to_be_disabled()
    page.get_by_role("link", name=f"https://{LAN_NAME}:{door.port}/").click()
    play(page)


def test_files_are_uploaded_played_and_downloaded(door: Door, tmp_path: Path) -> None:
    door.server()
    page = door.page()
    expect(page.locator("#files-words")).to_have_text("Nothing is here yet.")
    chosen = Path("/usr/share/sounds/alsa/Front_Center.wav")
    page.locator("#file").set_input_files(chosen)
    expect(page.get_by_role("button", name="Play Front_Center.wav")).to_be_visible()
    page.get_by_role("button", name="Play Front_Center.wav").click()
    expect(page.get_by_role("slider", name="Place in Front_Center.wav")).to_be_visible()
    place = page.get_by_role("slider", name="Place in Front_Center.wav")
    wait_until(lambda: float(place.input_value()) > 0.1, "the file plays")
    with page.expect_download() as waiting:
        page.get_by_role("link", name="Download Front_Center.wav").click()
    waiting.value.save_as(tmp_path / "back.wav")
    assert (tmp_path / "back.wav").read_bytes() == chosen.read_bytes()
    page.locator("body").evaluate(DROP, ["a song.txt", "la la la"])
    page.get_by_role("button", name="Play a-song.txt").click()
    expect(page.locator(".failed .sorry")).to_be_visible()
    told = page.get_by_role("status").filter(has_text="a-song.txt: This browser cannot play it.")
    expect(told).to_have_count(1)
    expect(page.locator("#files-words")).to_contain_text("2 files")


def test_a_large_upload_shows_how_far_it_is_and_can_be_stopped(door: Door, tmp_path: Path) -> None:
    door.server()
    with Relay(door.port, bytes_a_s=4_000_000) as relay:
        page = door.page(port=relay.port)
        expect(page.locator("#files-words")).to_have_text("Nothing is here yet.")
        file = tmp_path / "big.wav"
        file.write_bytes(bytes(24 << 20))
        page.locator("#file").set_input_files(file)
        bar = page.get_by_role("progressbar", name="Upload of big.wav")
        wait_until(lambda: (bar.get_attribute("value") or "0") != "0", "the upload goes on")
        page.get_by_role("button", name="Stop the upload of big.wav").press("Enter")
        expect(bar).to_have_count(0)
        expect(page.locator("#upload")).to_be_focused()
        page.reload()
        expect(page.locator("#files-words")).to_have_text("Nothing is here yet.")


def test_it_is_used_with_keys_alone(door: Door) -> None:
    door.server()
    page = door.page()
    page.keyboard.press("Tab")
    expect(page.locator("#play")).to_be_focused()
    page.keyboard.press("Space")
    expect(state(page)).to_have_text("Playing")
    for name in ("mute", "volume", "plot", "upload"):
        page.keyboard.press("Tab")
        expect(page.locator(f"#{name}")).to_be_focused()


def test_everything_that_can_be_pressed_has_a_name(door: Door) -> None:
    door.server()
    page = door.page()
    page.locator("body").evaluate(DROP, ["song.wav", "la"])
    expect(page.get_by_role("button", name="Play song.wav")).to_be_visible()
    tree = page.locator("body").aria_snapshot()
    roles = "button|link|slider|meter|img|progressbar"
    assert re.findall(rf"^\s*- (?:{roles})(?::|$)", tree, re.MULTILINE) == []
    for name in ("Listen", "Mute", "Upload", "Play song.wav"):
        assert f'button "{name}"' in tree


SCREENS = {
    "light": (1280, 900, "light"),
    "dark": (1280, 900, "dark"),
    "phone": (390, 844, "light"),
    "phone-dark": (390, 844, "dark"),
    "narrow": (320, 640, "light"),
}
LIGHT = "rgb(242, 245, 246)"


@pytest.mark.xdist_group("takes all of the machine")
def test_it_fits_every_screen(door: Door, tmp_path: Path) -> None:
    door.server()
    for name, (width, height, scheme) in SCREENS.items():
        size = {"width": width, "height": height}
        page = door.page(viewport=size, color_scheme=scheme, reduced_motion="reduce")
        play(page)
        page.wait_for_timeout(1000)  # so that there is something to see
        page.screenshot(path=tmp_path / f"{name}.png", full_page=True)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, name
        background = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (background == LIGHT) is (scheme == "light"), name
        page.close()
    assert door.complaints == []
