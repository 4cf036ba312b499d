"""Reports in a real browser: a headless Chromium, from a file, without a network."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.lab.report import helpers

pytestmark = pytest.mark.browser

_SLOW = pytest.mark.slow


@pytest.fixture(scope="module")
def started() -> Iterator[Any]:
    import shutil

    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars"):
        options.add_argument(argument)
    options.binary_location = shutil.which("chromium") or ""
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))
    driver.set_script_timeout(20)
    yield driver
    driver.quit()


@pytest.fixture
def browser(started: Any) -> Iterator[Any]:
    """The browser, at a desktop's size; what a page complains of fails its test."""
    _size(started, 1280, 900)
    started.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
    yield started
    # Advice on how to read canvases back, which only tests do, is no complaint.
    complaints = [entry for entry in started.get_log("browser") if entry["source"] != "rendering"]
    assert complaints == []


def _size(browser: Any, width: int, height: int) -> None:
    metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)


def _eventually(holds: Callable[[], bool], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def _find(browser: Any, selector: str) -> Any:
    return browser.find_element("css selector", selector)


def _texts(browser: Any, selector: str) -> list[str]:
    """The texts of elements, a word's distance between their parts."""
    return [" ".join(element.text.split()) for element in browser.find_elements("css selector", selector)]


def _js(browser: Any, code: str, *arguments: Any) -> Any:
    return browser.execute_script(code, *arguments)


def _page_text(browser: Any) -> str:
    return str(_js(browser, "return document.body.innerText"))


def _step_shown(browser: Any) -> int:
    return int(_js(browser, "return document.querySelector('canvas')?.dataset.step || -1"))


def _set_slider(browser: Any, selector: str, value: float) -> None:
    code = "const s = document.querySelector(arguments[0]); s.value = arguments[1]; s.dispatchEvent(new Event('input'))"
    _js(browser, code, selector, value)


def _mouse(browser: Any, kind: str, x: float, y: float) -> None:
    pressed = {"button": "left", "clickCount": 1} if kind != "mouseMoved" else {}
    browser.execute_cdp_cmd("Input.dispatchMouseEvent", {"type": kind, "x": x, "y": y, **pressed})


def _box(browser: Any, selector: str) -> dict[str, float]:
    """Where an element lies, scrolled into the middle."""
    code = "const e = document.querySelector(arguments[0]); e.scrollIntoView({block: 'center'}); "
    code += "return e.getBoundingClientRect().toJSON()"
    return dict(_js(browser, code, selector))


def test_a_report_shows_everything_and_its_slider_moves_through_the_training(browser: Any, tmp_path: Path) -> None:
    data = helpers.of_runs(helpers.run(tmp_path))
    data["runs"][0]["name"] = "<b>runs</b>/wgan"
    browser.get(helpers.write(tmp_path / "a.html", data))
    assert browser.title == "a < b"
    text = _find(browser, "main").text
    for words in (
        "wgan",
        "<b>runs</b>/wgan",
        "Somebody 2017",
        "Still improving",
        "It goes on </script><b>& on.",
        "100 of 100",
    ):
        assert words in text
    assert "<img src=x onerror=alert(1)>" in text
    assert "--resume 'a b'" in text
    assert _texts(browser, "h2") == ["Curves", "Metrics", "Networks", "Settings"]
    assert _texts(browser, ".chart h3") == ["Losses", "Estimate", "Speed"]
    assert _texts(browser, "#chart-losses .legend span") == ["D −1", "G 100"]  # Without a pointer, the last values.
    assert "floor 2" in _find(browser, "[data-name=frechet]").text
    assert "ceiling 1" in _find(browser, "[data-name=coverage]").text
    # The bar of frechet is four times as long as the floor's place: 8 of 2.
    fill = _js(browser, "return parseFloat(document.querySelector('[data-name=frechet] .fill').style.width)")
    assert fill == pytest.approx(100 / 1.04, abs=0.01)
    _eventually(lambda: _step_shown(browser) == 5)
    for index in (0, 3, 1):
        _set_slider(browser, "#samples", index)
        _eventually(lambda: _step_shown(browser) == index + 1)  # noqa: B023
        grey = _js(
            browser, "return [...document.querySelector('canvas').getContext('2d').getImageData(5, 5, 1, 1).data]"
        )
        assert grey[:3] == [round(255 * (index + 1) / 5)] * 3
        assert _find(browser, "output").text == f"step {index + 1}"


@_SLOW
def test_between_two_pictures_there_is_never_none(browser: Any, tmp_path: Path) -> None:
    browser.get(helpers.write(tmp_path / "a.html", helpers.of_runs(helpers.run(tmp_path, frames=40))))
    _eventually(lambda: _step_shown(browser) == 40)
    # Read in every animation frame, the corner within the first image is never empty while the slider races.
    seen = browser.execute_async_script("""
        const done = arguments[0], canvas = document.querySelector('canvas');
        const slider = document.getElementById('samples');
        const pen = canvas.getContext('2d', {willReadFrequently: true}), seen = [];
        let k = 0;
        const next = () => {
          seen.push(pen.getImageData(5, 5, 1, 1).data[0]);
          if (k > 120) { done(seen); return; }
          slider.value = (7 * k++) % 40;
          slider.dispatchEvent(new Event('input'));
          requestAnimationFrame(next);
        };
        next();
    """)
    assert min(seen) >= round(255 / 40)
    assert len({*seen}) > 30


@_SLOW
def test_play_goes_from_the_start_to_the_end_and_stops(browser: Any, tmp_path: Path) -> None:
    browser.get(helpers.write(tmp_path / "a.html", helpers.of_runs(helpers.run(tmp_path, frames=30))))
    _eventually(lambda: _step_shown(browser) == 30)
    _find(browser, ".play").click()
    _eventually(lambda: 1 <= _step_shown(browser) < 10)
    assert _find(browser, ".play").get_attribute("aria-label") == "pause"
    _eventually(lambda: _find(browser, ".play").get_attribute("aria-label") == "play", 20)
    assert _step_shown(browser) == 30


@_SLOW
def test_hovering_reads_the_values_of_all_charts_at_that_step(browser: Any, tmp_path: Path) -> None:
    browser.get(helpers.write(tmp_path / "a.html", helpers.of_runs(helpers.run(tmp_path))))
    box = _box(browser, "#chart-losses > svg")
    inside = _js(
        browser,
        "const c = document.querySelector('#chart-losses > svg clipPath rect');"
        "return [+c.getAttribute('x'), +c.getAttribute('width')]",
    )
    # The steps go from 10 to 100: 40 lies at a third.
    _mouse(browser, "mouseMoved", box["x"] + inside[0] + inside[1] / 3, box["y"] + 100)
    assert _find(browser, ".at").text == "steps: 40"
    assert _texts(browser, "#chart-losses .legend span") == ["D −2.5", "G 40"]
    assert _texts(browser, "#chart-estimate .legend span") == ["estimate 2.5"]
    assert len(browser.find_elements("css selector", "#chart-losses > svg .cross")) == 1
    _mouse(browser, "mouseMoved", 2, 2)
    assert _find(browser, ".at").text == ""
    assert _texts(browser, "#chart-losses .legend span") == ["D −1", "G 100"]


def _ticks(browser: Any, chart: str) -> list[str]:
    return _texts(browser, f"#chart-{chart} > svg .tick")


@_SLOW
def test_dragging_zooms_all_charts_and_a_double_click_shows_all_again(browser: Any, tmp_path: Path) -> None:
    browser.get(helpers.write(tmp_path / "a.html", helpers.of_runs(helpers.run(tmp_path))))
    before = _ticks(browser, "estimate")
    box = _box(browser, "#chart-losses > svg")
    for kind, share in (("mouseMoved", 0.5), ("mousePressed", 0.5), ("mouseMoved", 0.7), ("mouseReleased", 0.7)):
        _mouse(browser, kind, box["x"] + share * box["width"], box["y"] + 100)
    zoomed = _ticks(browser, "estimate")
    assert zoomed != before
    assert "20" not in zoomed
    assert _find(browser, ".bar > button").is_enabled()
    _js(browser, "document.querySelector('#chart-losses > svg').dispatchEvent(new Event('dblclick'))")
    assert _ticks(browser, "estimate") == before


@_SLOW
def test_log_scale_smoothing_and_axes(browser: Any, tmp_path: Path) -> None:
    browser.get(helpers.write(tmp_path / "a.html", helpers.of_runs(helpers.run(tmp_path))))
    _find(browser, "#chart-estimate button").click()
    assert {"1", "10"} <= {*_ticks(browser, "estimate")}
    path = "return document.querySelector('#chart-steps_per_s > svg .line').getAttribute('d')"
    ten = len(str(_js(browser, path)).split("L"))
    assert ten == 10
    _find(browser, "#axis-time").click()
    assert any(tick.endswith(" s") for tick in _ticks(browser, "losses"))
    _find(browser, "#axis-images").click()
    assert "5,000" in _ticks(browser, "losses")
    assert browser.find_elements("css selector", ".raw") == []


@_SLOW
def test_smoothing_shows_the_raw_line_behind(browser: Any, tmp_path: Path) -> None:
    data = helpers.of_runs(helpers.run(tmp_path))
    steps = list(range(100))
    data["runs"][0] |= {"steps_logged": steps, "columns": {"d_loss": [float(step % 2) for step in steps]}}
    data["charts"] = data["charts"][:1]
    browser.get(helpers.write(tmp_path / "a.html", data))
    _set_slider(browser, "#smooth", 0.9)
    heights = """return [...document.querySelectorAll('#chart-losses > svg .' + arguments[0])].map((p) => {
      const b = p.getBBox(); return b.height; })"""
    (raw,), (line,) = _js(browser, heights, "raw"), _js(browser, heights, "line")
    assert line < 0.6 * raw
    # An average of 0, 1, 0, 1 that starts unbiased: its first value is the first.
    assert _texts(browser, "#chart-losses .legend span")[0].startswith("D 0.5")


@_SLOW
def test_the_keyboard_reads_zooms_and_moves(browser: Any, tmp_path: Path) -> None:
    from selenium.webdriver.common.keys import Keys

    browser.get(helpers.write(tmp_path / "a.html", helpers.of_runs(helpers.run(tmp_path))))
    chart = _find(browser, "#chart-losses > svg")
    _js(browser, "document.querySelector('#chart-losses > svg').focus()")
    chart.send_keys(Keys.ARROW_LEFT)
    assert _find(browser, ".at").text == "steps: 100"
    chart.send_keys(Keys.ARROW_LEFT)
    assert _find(browser, ".at").text == "steps: 90"
    before = _ticks(browser, "losses")
    chart.send_keys("+")
    assert _ticks(browser, "losses") != before
    chart.send_keys(Keys.ESCAPE)
    assert _ticks(browser, "losses") == before
    slider = _find(browser, "#samples")
    slider.send_keys(Keys.ARROW_LEFT)
    _eventually(lambda: _step_shown(browser) == 4)
    # Everything that can be used can be reached.
    reached = set()
    _js(browser, "document.activeElement.blur()")
    for _ in range(40):
        browser.switch_to.active_element.send_keys(Keys.TAB)
        reached.add(
            _js(
                browser,
                "const e = document.activeElement;"
                "return e.id || e.getAttribute('class') || e.closest('section')?.id || e.tagName",
            )
        )
    assert {"samples", "smooth", "play", "axis-time", "chart-losses", "chart-estimate"} <= reached


@_SLOW
def test_a_click_on_a_chart_shows_the_samples_of_that_step(browser: Any, tmp_path: Path) -> None:
    data = helpers.of_runs(helpers.run(tmp_path))
    for k, frame in enumerate(data["runs"][0]["frames"]):
        frame["step"] = 20 * (k + 1)
    browser.get(helpers.write(tmp_path / "a.html", data))
    box = _box(browser, "#chart-losses > svg")
    for kind in ("mouseMoved", "mousePressed", "mouseReleased"):
        _mouse(browser, kind, box["x"] + box["width"] / 2, box["y"] + 100)
    _eventually(lambda: _step_shown(browser) in (40, 60))
    assert len(browser.find_elements("css selector", "#chart-losses > svg .now")) == 1


@_SLOW
def test_members_sort_by_any_column_and_back(browser: Any, tmp_path: Path) -> None:
    browser.get(helpers.write(tmp_path / "a.html", helpers.of_sweep(tmp_path)))

    def order() -> list[str]:
        return list(
            _js(browser, "return [...document.querySelectorAll('.members tbody tr')].map((r) => r.dataset.member)")
        )

    assert order() == ["2", "3", "1", "0", "4"]  # The best first; without a score last.
    _find(browser, "[data-column=score] button").click()
    assert order() == ["0", "1", "3", "2", "4"]
    _find(browser, "[data-column=width] button").click()
    assert order() == ["0", "1", "2", "3", "4"]
    assert _find(browser, "[data-column=width]").get_attribute("aria-sort") == "ascending"
    _find(browser, "[data-column=width] button").click()
    assert order() == ["4", "3", "2", "1", "0"]
    assert _find(browser, "[data-column=score]").get_attribute("aria-sort") is None
    browser.refresh()
    _eventually(lambda: order() == ["4", "3", "2", "1", "0"])


@_SLOW
def test_a_member_is_seen_everywhere_at_once(browser: Any, tmp_path: Path) -> None:
    browser.get(helpers.write(tmp_path / "a.html", helpers.of_sweep(tmp_path)))
    _eventually(lambda: len(browser.find_elements("css selector", ".dot")) == 4)
    assert len(browser.find_elements("css selector", ".thread")) == 4
    _js(browser, "document.querySelector('[data-member=\"3\"]').dispatchEvent(new Event('pointerenter'))")
    assert _find(browser, ".said").text == "member 3: lr 0.001, seed 1; frechet 2"
    for selector in (".dot.on", ".thread.on", "tr.on", "#chart-losses-d_loss .line.on"):
        assert len(browser.find_elements("css selector", selector)) == 1
    # Of two points the lower is the better one.
    heights = _js(
        browser, "return [...document.querySelectorAll('.dot')].map((d) => [d.textContent, +d.getAttribute('cy')])"
    )
    by_score = sorted((float(title.rsplit(" ", 1)[1]), y) for title, y in heights)
    assert [y for _, y in by_score] == sorted((y for _, y in by_score), reverse=True)
    assert "d_loss not finite at step 41" in _find(browser, '[data-member="4"]').text


@_SLOW
def test_a_page_whose_run_trains_on_reads_itself_again_and_keeps_its_place(browser: Any, tmp_path: Path) -> None:
    address = helpers.write(tmp_path / "a.html", helpers.of_runs(helpers.run(tmp_path, frames=5), reload=1.0))
    browser.get(address)
    _js(browser, "sessionStorage.clear()")
    browser.get(address)
    _set_slider(browser, "#samples", 2)
    _set_slider(browser, "#smooth", 0.5)
    _find(browser, "#chart-estimate button").click()
    box = _box(browser, "#chart-losses > svg")
    for kind, share in (("mouseMoved", 0.5), ("mousePressed", 0.5), ("mouseMoved", 0.7), ("mouseReleased", 0.7)):
        _mouse(browser, kind, box["x"] + share * box["width"], box["y"] + 100)
    _js(browser, "scrollTo(0, 333)")
    zoomed = _ticks(browser, "losses")
    # The run goes on meanwhile.
    data = helpers.of_runs(helpers.run(tmp_path, frames=9), reload=1.0)
    data["runs"][0]["status_text"] = "and on"
    helpers.write(tmp_path / "a.html", data)
    _eventually(lambda: "and on" in _page_text(browser))
    _eventually(lambda: _step_shown(browser) == 3)
    assert _js(browser, "return scrollY") == 333
    _eventually(lambda: _ticks(browser, "losses") == zoomed)
    assert float(_find(browser, "#smooth").get_attribute("value")) == 0.5
    assert _find(browser, "#chart-estimate button").get_attribute("aria-pressed") == "true"
    # Who looks at the newest samples goes on with them; and a page that is held still stays.
    _set_slider(browser, "#samples", 8)
    _find(browser, "#follow").click()
    helpers.write(tmp_path / "a.html", helpers.of_runs(helpers.run(tmp_path, frames=12)))
    time.sleep(2.5)
    assert "and on" in _page_text(browser)
    browser.refresh()
    _eventually(lambda: _step_shown(browser) == 12)
    assert browser.find_elements("css selector", "#follow") == []


@_SLOW
@pytest.mark.parametrize("kind", ["run", "runs", "sweep"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_a_telephone_and_reads_in_light_and_dark(kind: str, scheme: str, browser: Any, tmp_path: Path) -> None:
    one, two = helpers.run(tmp_path), helpers.run(tmp_path, name="runs/" + "very_long_name_" * 8 + "/002")
    data = {"run": helpers.of_runs(one), "runs": helpers.of_runs(one, two), "sweep": helpers.of_sweep(tmp_path)}[kind]
    browser.execute_cdp_cmd(
        "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    )
    for width in (400, 1280):
        _size(browser, width, 800)
        browser.get(helpers.write(tmp_path / "a.html", data))
        assert _js(browser, "return document.documentElement.scrollWidth") <= width
    colours = _js(
        browser,
        "const s = (n) => getComputedStyle(document.querySelector(n));"
        "return [s('html').backgroundColor, s('h1').color, s('.soft').color]",
    )
    page, ink, soft = (_luminance(colour) for colour in colours)
    assert (page < 0.1) == (scheme == "dark")
    assert _contrast(page, ink) > 12
    assert _contrast(page, soft) > 4.5
    browser.save_screenshot(str(tmp_path / "a.png"))
    with Image.open(tmp_path / "a.png") as picture:
        assert np.asarray(picture).std() > 5


def _luminance(colour: str) -> float:
    """Of `rgb(r, g, b)`, by WCAG 2."""
    rgb = np.array([float(x) for x in colour[4:-1].split(",")]) / 255
    linear = np.where(rgb <= 0.03928, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


def _contrast(a: float, b: float) -> float:
    return (max(a, b) + 0.05) / (min(a, b) + 0.05)


@_SLOW
def test_runs_lie_beside_each_other(browser: Any, tmp_path: Path) -> None:
    one, two = helpers.run(tmp_path, frames=5), helpers.run(tmp_path, name="runs/wgan/002", frames=3)
    browser.get(helpers.write(tmp_path / "a.html", helpers.of_runs(one, two)))
    _eventually(
        lambda: _js(browser, "return [...document.querySelectorAll('canvas')].map((c) => +c.dataset.step)") == [5, 3]
    )
    assert _texts(browser, "#differences tbody td") == ["--lr", "1", "2"]
    assert _texts(browser, "#chart-estimate .legend span") == ["runs/wgan/001 1", "runs/wgan/002 1"]
    assert _texts(browser, ".verdict b") == ["runs/wgan/001: Still improving", "runs/wgan/002: Still improving"]
    # Of two equal networks one table.
    assert len(browser.find_elements("css selector", ".nets table")) == 1


@_SLOW
def test_a_run_that_has_only_begun_has_a_page(browser: Any, tmp_path: Path) -> None:
    run = helpers.run(tmp_path) | {"frames": [], "frames_of": 0, "steps_logged": [], "columns": {}, "metrics": None}
    browser.get(helpers.write(tmp_path / "a.html", helpers.of_runs(run)))
    assert _texts(browser, "h2") == ["Networks", "Settings"]
    sweep = helpers.of_sweep(tmp_path)
    sweep["charts"] = []
    for member in sweep["sweep"]["members"]:
        member["score"] = None
        del member["src"]
    browser.get(helpers.write(tmp_path / "b.html", sweep))
    assert "No member has a score yet" in _find(browser, "main").text
